"""The real Linux kernel as a target: Debian's kernels or your own, booted in QEMU, or the one that runs here.

`fetch` gets a kernel, `initramfs` packs it with the guest program in `guest/`, `qemu` boots it, `flat` is the
binary form in which vectors go in and results come out, `vm` and `host` are the targets.
"""
