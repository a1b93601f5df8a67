"""Kernel modules as they are shipped, compared with the model: `docs/objectcode.md`."""
