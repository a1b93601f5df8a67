"""The kernel's own vhost code, compiled from the distribution's source package into a process of user space.

See docs/linux_source.md: which files of the kernel run, and what is written here to let them run.
"""
