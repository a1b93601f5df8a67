"""An object file with its sections placed and its relocations done, so that code and data are at addresses.

Where things are is our own choice: nothing may depend on it. Names of other files get addresses of their own, with room
behind them, and nothing is known of what is there.
"""

from __future__ import annotations

from dataclasses import dataclass

from proofs.objectcode.cannot import Cannot
from proofs.objectcode.elf import ABSOLUTE, ObjectFile, Relocation, Section, Symbol

FIRST_SECTION = 0x1000_0000
FIRST_ELSEWHERE = 0x4000_0000  # names of other files
ROOM_ELSEWHERE = 0x1_0000
FIRST_POINTER = 0x7000_0000  # the table of addresses that position-independent code loads them from (GOT)
PAGE = 0x1000

NONE, R64, PC32, PLT32, GOTPCREL, R32, R32S, PC64, GOTPCRELX, REX_GOTPCRELX = 0, 1, 2, 4, 9, 10, 11, 24, 41, 42
SIZES = {R64: 8, PC32: 4, PLT32: 4, GOTPCREL: 4, R32: 4, R32S: 4, PC64: 8, GOTPCRELX: 4, REX_GOTPCRELX: 4}
RELATIVE = (PC32, PLT32, PC64, GOTPCREL, GOTPCRELX, REX_GOTPCRELX)
THROUGH_POINTER = (GOTPCREL, GOTPCRELX, REX_GOTPCRELX)


@dataclass(frozen=True)
class Function:
    """A function's code: first..last, and its name in the file."""

    name: str
    start: int
    size: int

    def has(self, address: int) -> bool:
        return self.start <= address < self.start + self.size


class Image:
    """Where everything is. `patches` replace bytes of functions, {(function, offset): bytes}: for planted bugs."""

    def __init__(self, file: ObjectFile, patches: dict[tuple[str, int], bytes] | None = None) -> None:
        self.file = file
        self._where: dict[int, int] = {}
        self._bytes: dict[int, bytearray] = {}
        self._elsewhere: dict[str, int] = {}
        self._pointers: dict[int, int] = {}  # where a pointer is -> what it is
        self._pointer_to: dict[int, int] = {}
        self._unknown: set[int] = set()  # bytes that a relocation of a kind that is not known is to fill in
        self._rewritten: dict[int, str] = {}
        place = FIRST_SECTION
        for section in file.sections:
            if section.is_allocated():
                place = -(-place // max(PAGE, section.alignment)) * max(PAGE, section.alignment)
                self._where[section.index] = place
                self._bytes[section.index] = bytearray(section.data)
                place += len(section.data)
        if place >= FIRST_ELSEWHERE:
            raise Cannot(f"the file has {place - FIRST_SECTION} bytes of sections, more than there is room for")
        for relocation in file.relocations:
            self._relocate(relocation)
        for (name, offset), new in (patches or {}).items():
            self._patch(file.function(name), offset, new)

    # PLACES ------------------------------------------------------------------------------------------------------

    def function(self, name: str) -> Function:
        """A function of the file. Raises Cannot."""
        symbol = self.file.function(name)
        if symbol.size == 0:
            raise Cannot(f"the file does not say how long {symbol.name} is")
        return Function(symbol.name, self.address(symbol), symbol.size)

    def address(self, symbol: Symbol) -> int:
        """Where a symbol is."""
        if symbol.section == ABSOLUTE:
            return symbol.value
        if symbol.section is not None:
            if symbol.section not in self._where:
                raise Cannot(f"{symbol.name} is in a section that is not loaded")
            return self._where[symbol.section] + symbol.value
        if symbol.name not in self._elsewhere:
            self._elsewhere[symbol.name] = FIRST_ELSEWHERE + ROOM_ELSEWHERE * len(self._elsewhere)
        return self._elsewhere[symbol.name]

    def address_of_name(self, name: str) -> int:
        """Where something of this name is, in the file or elsewhere."""
        for symbol in self.file.symbols:
            if symbol.name == name:
                return self.address(symbol)
        return self.address(Symbol(name, None, 0, 0, False))

    def name_at(self, address: int) -> str | None:
        """The name of the function that begins at an address, or of what is elsewhere; None in the midst of one."""
        if FIRST_ELSEWHERE <= address < FIRST_POINTER:
            return next((name for name, where in self._elsewhere.items() if where == address), None)
        return next((one.name for one in self.file.functions() if self.address(one) == address), None)

    def is_code(self, address: int) -> bool:
        """Whether code of the file is at an address."""
        section = self._section_at(address)
        return section is not None and bool(section.flags & 4)

    def _section_at(self, address: int) -> Section | None:
        for index, where in self._where.items():
            if where <= address < where + len(self._bytes[index]):
                return self.file.sections[index]
        return None

    # CONTENTS ----------------------------------------------------------------------------------------------------

    def code(self, address: int, most: int = 16) -> bytes:
        """At most so many bytes of code. Raises Cannot where there is none, or where it is not known."""
        section = self._section_at(address)
        if section is None or not section.flags & 4:
            raise Cannot(f"the code goes on at {address:#x}, where the file has no code")
        return self._take(section, address, most)

    def constant(self, address: int, size: int) -> bytes | None:
        """What is at an address for ever, or None if it may change or is not in the file."""
        if address in self._pointers and size == 8:
            return self._pointers[address].to_bytes(8, "little")
        section = self._section_at(address)
        if section is None or not section.is_constant():
            return None
        found = self._take(section, address, size)
        return found if len(found) == size else None

    def _take(self, section: Section, address: int, size: int) -> bytes:
        offset = address - self._where[section.index]
        return bytes(self._bytes[section.index][offset : offset + size])

    def is_filled_in(self, address: int, size: int) -> bool:
        """Whether nothing in these bytes was left open by a relocation that is not known."""
        return not self._unknown or all(one not in self._unknown for one in range(address, address + size))

    # RELOCATIONS -------------------------------------------------------------------------------------------------

    def _relocate(self, one: Relocation) -> None:
        if one.kind == NONE:
            return
        place = self._where[one.section] + one.offset
        if one.kind not in SIZES:
            self._unknown.update(range(place, place + 8))
            return
        if one.symbol.section is not None and one.symbol.section != ABSOLUTE and one.symbol.section not in self._where:
            self._unknown.update(range(place, place + SIZES[one.kind]))
            return
        target = self.address(one.symbol)
        if one.kind in THROUGH_POINTER:
            target = self._pointer(target)
        value = target + one.addend - (place if one.kind in RELATIVE else 0)
        size = SIZES[one.kind]
        filled = (value % 2 ** (8 * size)).to_bytes(size, "little")
        self._bytes[one.section][one.offset : one.offset + size] = filled

    def _pointer(self, target: int) -> int:
        if target not in self._pointer_to:
            where = FIRST_POINTER + 8 * len(self._pointer_to)
            self._pointer_to[target] = where
            self._pointers[where] = target
        return self._pointer_to[target]

    def _patch(self, function: Symbol, offset: int, new: bytes) -> None:
        assert function.section is not None
        start = function.value + offset
        if offset < 0 or offset + len(new) > function.size:
            raise Cannot(f"{function.name} has no {len(new)} bytes at {offset:#x}")
        self._bytes[function.section][start : start + len(new)] = new

    def rewritten_sites(self) -> dict[int, str]:
        """Addresses of code that a kernel may rewrite when it runs, and what for. Return thunks, calls of __fentry__
        and retpolines are not among them: the first two are assumptions that are stated, the last is refused.
        """
        if not self._rewritten:
            self._rewritten = dict(self._find_rewritten())
        return self._rewritten

    def _find_rewritten(self) -> list[tuple[int, str]]:
        kinds = {
            ".altinstructions": "an alternative of the instruction",
            "__jump_table": "a static key",
            ".static_call_sites": "a static call",
            ".parainstructions": "a paravirtual call",
            ".smp_locks": "a lock prefix",
        }
        names = {one.index: kinds[one.name] for one in self.file.sections if one.name in kinds}
        return [
            (self.address(one.symbol) + one.addend, names[one.section])
            for one in self.file.relocations
            if one.section in names and (one.symbol.section in self._where or one.symbol.section is None)
        ]
