"""KVM memory slots: which guest page lives at which host address, and who changed it."""
