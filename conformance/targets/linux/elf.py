"""What a kernel module says of itself: the `.modinfo` section of its ELF file (what `modinfo` prints)."""

from __future__ import annotations

import struct


class NotAModule(Exception):
    """The file is no 64-bit little-endian ELF object with a `.modinfo` section."""


def modinfo(module: bytes) -> dict[str, list[str]]:
    """The fields of a module and their values, in order. Raises NotAModule."""
    try:
        section = modinfo_section(module)
    except (struct.error, IndexError, ValueError, OverflowError) as broken:
        raise NotAModule(f"a truncated ELF file ({broken})") from None
    fields: dict[str, list[str]] = {}
    for entry in section.split(b"\0"):
        if entry:
            name, _, value = entry.decode(errors="replace").partition("=")
            fields.setdefault(name, []).append(value)
    return fields


def modinfo_section(module: bytes) -> bytes:
    if module[:6] != b"\x7fELF\x02\x01":
        raise NotAModule("not a 64-bit little-endian ELF file")
    (table,) = struct.unpack_from("<Q", module, 0x28)
    entry_size, entries, names_index = struct.unpack_from("<HHH", module, 0x3A)

    def header(index: int) -> tuple[int, int, int]:
        name, _, _, _, offset, size = struct.unpack_from("<IIQQQQ", module, table + index * entry_size)
        return name, offset, size

    _, names, names_size = header(names_index)
    strings = module[names : names + names_size]
    for index in range(entries):
        name, offset, size = header(index)
        if strings[name : strings.index(b"\0", name)] == b".modinfo":
            return module[offset : offset + size]
    raise NotAModule("an ELF file without a .modinfo section")
