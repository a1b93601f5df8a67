"""BTF: the types that a kernel and its modules carry with them. Enough of it to say where a field of a struct is.

A module's BTF goes on where the kernel's ends: type numbers and strings are counted on from there. Facts:
Documentation/bpf/btf.rst.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from proofs.objectcode.cannot import Cannot

MAGIC = 0xEB9F
INT, POINTER, ARRAY, STRUCT, UNION, ENUM, FORWARD, TYPEDEF, VOLATILE, CONST, RESTRICT = range(1, 12)
FUNCTION, PROTOTYPE, VARIABLE, SECTION, FLOAT, TAG, TYPE_TAG, ENUM64 = range(12, 20)
NAMES_ONLY = (TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG)
EXTRA = {INT: 4, ARRAY: 12, VARIABLE: 4, TAG: 4}  # bytes behind a type's header
EACH = {STRUCT: 12, UNION: 12, ENUM: 8, PROTOTYPE: 8, SECTION: 12, ENUM64: 12}  # bytes for each member
POINTER_BYTES = 8


@dataclass(frozen=True)
class Type:
    """One type: kind, name, its size or the number of the type it stands for, and what follows."""

    kind: int
    name: int
    size_or_type: int
    members: int
    has_bits: bool
    rest: bytes


@dataclass(frozen=True)
class Place:
    """Where a field is: bytes from the beginning of its struct, and how many bytes it has."""

    offset: int
    size: int


class Btf:
    """The types of one blob, on top of those of a base."""

    def __init__(self, data: bytes, base: Btf | None = None) -> None:
        """Raises Cannot for bytes that are no BTF."""
        self.base = base
        try:
            magic, version, _, header = struct.unpack_from("<HBBI", data)
            if magic != MAGIC or version != 1:
                raise Cannot("this is no BTF of version 1")
            types, types_size, strings, strings_size = struct.unpack_from("<IIII", data, 8)
            self._strings = data[header + strings : header + strings + strings_size]
            self._types = list(_types(data[header + types : header + types + types_size]))
        except struct.error as broken:
            raise Cannot(f"the BTF is cut off ({broken})") from None
        self._first_string: int = 0 if base is None else base.end_of_strings()
        self._structs: dict[str, Type] = {}
        self._first_type: int = 1 if base is None else base.end_of_types()

    def end_of_strings(self) -> int:
        return self._first_string + len(self._strings)

    def end_of_types(self) -> int:
        return self._first_type + len(self._types)

    def string(self, offset: int) -> str:
        if offset < self._first_string and self.base is not None:
            return self.base.string(offset)
        start = offset - self._first_string
        return self._strings[start : self._strings.index(b"\0", start)].decode(errors="replace")

    def type(self, number: int) -> Type:
        if number < self._first_type and self.base is not None:
            return self.base.type(number)
        try:
            return self._types[number - self._first_type]
        except IndexError:
            raise Cannot(f"the BTF names a type {number} that it does not have: is the kernel another one?") from None

    def struct(self, name: str) -> Type | None:
        """The struct of this name, here or in the base."""
        if not self._structs:  # the first of a name counts
            named = [(self.string(one.name), one) for one in self._types if one.kind == STRUCT and one.name]
            self._structs = dict(reversed(named))
        if name in self._structs:
            return self._structs[name]
        return None if self.base is None else self.base.struct(name)

    def place(self, struct_name: str, path: str) -> Place:
        """Where a field is; `path` has the names of fields within fields, with dots; "" is all of it.
        Raises Cannot.
        """
        found = self.struct(struct_name)
        if found is None:
            raise Cannot(f"the BTF has no struct {struct_name}")
        offset = 0
        place = Place(0, found.size_or_type)
        for name in path.split(".") if path else ():
            member = next((one for one in self._members(found) if one[0] == name), None)
            if member is None:
                raise Cannot(f"struct {struct_name} has no field {path}")
            offset += member[1]
            found = self._resolved(member[2])
            place = Place(offset, self._size(found))
        return place

    def has(self, struct_name: str, path: str) -> bool:
        """Whether there is such a field."""
        try:
            self.place(struct_name, path)
        except Cannot:
            return False
        return True

    def _members(self, one: Type) -> Iterator[tuple[str, int, int]]:
        """Name, offset in bytes and type of each field; those of a part without a name as the struct's own."""
        for at in range(one.members):
            name, type_, bits = struct.unpack_from("<III", one.rest, 12 * at)
            bits = bits & 0xFFFFFF if one.has_bits else bits
            inner = self._resolved(type_)
            if name == 0 and inner.kind in (STRUCT, UNION):
                yield from ((each, bits // 8 + offset, of) for each, offset, of in self._members(inner))
            elif bits % 8 == 0:
                yield self.string(name), bits // 8, type_

    def _resolved(self, number: int) -> Type:
        one = self.type(number)
        while one.kind in NAMES_ONLY:
            one = self.type(one.size_or_type)
        return one

    def _size(self, one: Type) -> int:
        if one.kind == POINTER:
            return POINTER_BYTES
        if one.kind == ARRAY:
            of, _, count = struct.unpack("<III", one.rest)
            return int(count) * self._size(self._resolved(of))
        return one.size_or_type


def _types(data: bytes) -> Iterator[Type]:
    at = 0
    while at < len(data):
        name, info, size_or_type = struct.unpack_from("<III", data, at)
        kind, members = info >> 24 & 31, info & 0xFFFF
        if not INT <= kind <= ENUM64:
            raise Cannot(f"the BTF has a type of kind {kind}, which is not known")
        length = EXTRA.get(kind, 0) + EACH.get(kind, 0) * members
        rest: Any = data[at + 12 : at + 12 + length]
        yield Type(kind, name, size_or_type, members, bool(info >> 31), rest)
        at += 12 + length
