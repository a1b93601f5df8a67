"""The memory file system that a virtual machine starts from: cpio archives in the "newc" form.

The kernel takes several archives one after another, so the large part (program and modules) is made once, and
the vectors are put behind it.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence

from conformance.targets.linux.modules import Module

TRAILER = "TRAILER!!!"


def padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def entry(name: str, mode: int, data: bytes, number: int) -> bytes:
    """One member of an archive."""
    encoded = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields)
    return padded(head + encoded) + padded(data)


def archive(members: Sequence[tuple[str, int, bytes]]) -> bytes:
    """A whole archive of (name, mode, contents)."""
    entries = [entry(name, mode, data, number) for number, (name, mode, data) in enumerate(members, start=1)]
    return b"".join(entries) + entry(TRAILER, 0, b"", 0)


def system(init: bytes, modules: Sequence[Module], parameters: Mapping[str, str] | None = None) -> bytes:
    """The archive with the init program and the modules in the order in which it is to load them.

    `parameters` has what a module is told when it is loaded, by its name.
    """
    told = parameters or {}
    order = [f"{module.name}.ko {told.get(module.name, '')}".rstrip() + "\n" for module in modules]
    members = [
        ("init", stat.S_IFREG | 0o755, init),
        ("proc", stat.S_IFDIR | 0o755, b""),
        ("dev", stat.S_IFDIR | 0o755, b""),
        ("modules", stat.S_IFDIR | 0o755, b""),
        ("modules/order", stat.S_IFREG | 0o644, "".join(order).encode()),
    ]
    members += [(f"modules/{module.name}.ko", stat.S_IFREG | 0o644, module.image) for module in modules]
    return archive(members)


def program(image: bytes) -> bytes:
    """The archive with a program that is to run in place of vectors."""
    return archive([("program", stat.S_IFREG | 0o755, image)])


def vectors(flat: bytes) -> bytes:
    """The archive with the vectors."""
    return archive([("vectors", stat.S_IFREG | 0o444, flat)])
