"""Guest address maps side by side: libgpamap, the kernel's trees, and others, in one process. See docs/bench.md."""
