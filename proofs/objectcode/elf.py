"""Relocatable object files: what gcc and clang write (`.o`), and kernel modules (`.ko`)."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from proofs.objectcode.cannot import Cannot

ALLOCATED, WRITABLE, EXECUTABLE = 2, 1, 4  # section flags


@dataclass(frozen=True)
class Section:
    """A section of the file. `data` is zeros where the file has none (.bss)."""

    index: int
    name: str
    data: bytes
    flags: int
    alignment: int

    def is_allocated(self) -> bool:
        return bool(self.flags & ALLOCATED)

    def is_constant(self) -> bool:
        """Whether what is in it is what it is when the code runs."""
        return self.is_allocated() and not self.flags & WRITABLE


@dataclass(frozen=True)
class Symbol:
    """A name for a place: `section` is None for one of another file, ABSOLUTE for a plain number."""

    name: str
    section: int | None
    value: int
    size: int
    is_function: bool


ABSOLUTE = -1


@dataclass(frozen=True)
class Relocation:
    """The bytes at `offset` of a section are to be filled in from a symbol. `kind` is the number of R_X86_64_..."""

    section: int
    offset: int
    kind: int
    symbol: Symbol
    addend: int


@dataclass(frozen=True)
class ObjectFile:
    """A relocatable file. `elf` is pyelftools' own view of it, for debug information."""

    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]
    relocations: tuple[Relocation, ...]
    elf: Any

    def section(self, name: str) -> Section | None:
        """The section of this name, or None."""
        return next((one for one in self.sections if one.name == name), None)

    def functions(self) -> list[Symbol]:
        return [one for one in self.symbols if one.is_function and one.section is not None]

    def function(self, name: str) -> Symbol:
        """The function of this name; also one that the compiler made of it (`name.isra.0`, `name.constprop.0`), if
        there is only one. Raises Cannot.
        """
        for exact in (True, False):
            found = [one for one in self.functions() if (one.name if exact else one.name.split(".")[0]) == name]
            if len(found) == 1:
                return found[0]
            if found:
                names = ", ".join(sorted(one.name for one in found))
                raise Cannot(f"there are several functions {name} ({names}): name one of them")
        raise Cannot(
            f"there is no function {name} in the file: it was inlined, renamed, or is built into something else"
        )


def read_object(data: bytes) -> ObjectFile:
    """Read a file. Raises Cannot for one that is no relocatable x86-64 ELF file."""
    try:
        return _read(data)
    except (ELFError, ValueError, KeyError, IndexError, AssertionError, OverflowError) as broken:
        raise Cannot(f"this is no ELF file that can be read ({broken or type(broken).__name__})") from None


def _read(data: bytes) -> ObjectFile:
    elf = ELFFile(io.BytesIO(data))
    if elf["e_machine"] != "EM_X86_64" or elf["e_type"] != "ET_REL":
        raise Cannot(
            f"this is no relocatable x86-64 object but {elf['e_machine']}, {elf['e_type']}: give the .o or .ko"
        )
    headers = list(elf.iter_sections())
    sections = tuple(
        Section(
            number,
            one.name,
            bytes(one.data_size) if one["sh_type"] == "SHT_NOBITS" else one.data(),
            one["sh_flags"],
            max(1, one["sh_addralign"]),
        )
        for number, one in enumerate(headers)
    )
    tables = {
        number: [_symbol(each, sections) for each in one.iter_symbols()]
        for number, one in enumerate(headers)
        if isinstance(one, SymbolTableSection) and one["sh_type"] == "SHT_SYMTAB"
    }
    relocations = tuple(
        Relocation(
            one["sh_info"],
            each["r_offset"],
            each["r_info_type"],
            tables[one["sh_link"]][each["r_info_sym"]],
            each["r_addend"],
        )
        for one in headers
        if isinstance(one, RelocationSection) and one.is_RELA() and sections[one["sh_info"]].is_allocated()
        for each in one.iter_relocations()
    )
    return ObjectFile(sections, tuple(one for table in tables.values() for one in table), relocations, elf)


def _symbol(one: Any, sections: tuple[Section, ...]) -> Symbol:
    where = one["st_shndx"]
    section = {"SHN_UNDEF": None, "SHN_COMMON": None, "SHN_ABS": ABSOLUTE}.get(where, where)
    kind = one["st_info"]["type"]
    name = one.name
    if kind == "STT_SECTION" and type(section) is int:
        name = sections[section].name
    return Symbol(name, section, one["st_value"], one["st_size"], kind == "STT_FUNC")
