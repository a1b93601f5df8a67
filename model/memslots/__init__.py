"""HOW kernels keep memory slots: the protocol of the two sets, and both machines."""
