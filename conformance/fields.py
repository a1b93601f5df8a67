"""The fields of requests, as JSON: one table, read by the codec and by the published schema.

Numbers that can need 64 bits are hexadecimal strings, because JSON readers lose bits above 2^53. Smaller numbers are
JSON numbers. A host address that lies in a backing is written as backing and offset, any other as a number.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from conformance import backings
from spec.memslots.slot import FILE_OF_ANOTHER_VM, NO_FILE, NOT_A_GUEST_MEMFD
from spec.operation import Operation
from spec.pages import Pages, pages_in
from spec.step import OPERATIONS
from spec.units import U32_MAX, U64_MAX
from spec.vhost.backend import NO_SOCKET, NONE, TAP
from spec.vhost.device import Chain, Descriptor
from spec.vhost.mem_table import Region

# A file number that names no guest memory file of this VM says in words what it names instead.
FILE_WORDS: dict[int, str] = {NO_FILE: "closed", NOT_A_GUEST_MEMFD: "other-kind", FILE_OF_ANOTHER_VM: "other-vm"}
FILES_BY_WORD = {word: number for number, word in FILE_WORDS.items()}

LONGEST_WRITE = 2**20  # bytes of one guest_write
LAST_PAGE = 2**52  # no page, nor bit of a bitmap, has a larger number
BACKENDS = (TAP, NONE, NO_SOCKET)


class FormatError(Exception):
    """Something in a vector or an answer is not as it should be: where (a JSON path) and what."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what


@dataclass(frozen=True)
class Field:
    """One field of a request: its name, its kind (a key of `KINDS`), and the value it has when it is left out."""

    name: str
    kind: str
    default: Any


# Kinds by the name of the field; where operations differ, "operation.field" comes first.
KIND_OF: dict[str, str] = {
    "from_owner": "bool",
    "readable": "bool",
    "buffer_ok": "bool",
    "write": "bool",
    "slot": "u32",
    "flags": "u32",
    "create_guest_memfd.flags": "u64",
    "gpa": "u64",
    "size": "u64",
    "hva": "host",
    "version": "version",
    "file": "count",
    "memfd": "memfd",
    "memfd_offset": "u64",
    "first_page": "u64",
    "num_pages": "u32",
    "cleared": "pages",
    "options": "u64",
    "length": "length",
    "space": "count",
    "hva_range.first": "host",
    "hva_range.last": "host",
    # vhost
    "features": "u64",
    "regions": "regions",
    "padding": "u32",
    "regions_readable": "bool",
    "first": "u64",
    "last": "u64",
    "base": "host",
    "queue": "u32",
    "set_ring_size.size": "u32",
    "desc": "host",
    "used": "host",
    "avail": "host",
    "log": "u64",
    "backend": "backend",
    "framing": "u32",
    "write_message.length": "count",
    "read_message.length": "count",
    "packet.length": "count",
    "translate.length": "u64",
    "kind": "byte",
    "iova": "u64",
    "uaddr": "host",
    "perm": "byte",
    "asid": "u32",
    "addr": "u64",
    "access": "access",
    "room": "count",
    "chain": "chain",
}


def fields_of(operation: Operation) -> tuple[Field, ...]:
    """The fields of an operation's request: those of this operation first, then those that all calls have."""
    found = []
    for field in dataclasses.fields(operation.request):
        kind = KIND_OF.get(f"{operation.name}.{field.name}") or KIND_OF[field.name]
        found.append(Field(field.name, kind, field.default))
    common = ("from_owner", "readable")
    return tuple(
        [field for field in found if field.name not in common] + [field for field in found if field.name in common]
    )


OPERATIONS_BY_NAME: dict[str, Operation] = {operation.name: operation for operation in OPERATIONS}
FIELDS: dict[str, tuple[Field, ...]] = {operation.name: fields_of(operation) for operation in OPERATIONS}


def encode_hex(number: int) -> str:
    return hex(number)


def encode_host(address: int) -> Any:
    """A host address: by backing and offset where it lies in one, else as it is."""
    named = backings.name(address)
    return hex(address) if named is None else {"backing": named[0], "offset": hex(named[1])}


def encode_pages(pages: Pages) -> list[dict[str, int]]:
    return [{"first": first, "last": last} for first, last in pages.ranges]


def encode_region(region: Region) -> dict[str, Any]:
    return {"gpa": hex(region.gpa), "size": hex(region.size), "hva": encode_host(region.hva)}


def encode_descriptor(one: Descriptor) -> dict[str, Any]:
    """A descriptor: only one that is indirect has a table."""
    document: dict[str, Any] = {"addr": hex(one.addr), "length": one.length, "writable": one.writable}
    if one.table is not None:
        document["table"] = [encode_descriptor(inner) for inner in one.table]
        document["table_host"] = encode_host(one.table_host)
    return document


def encode(kind: str, value: Any) -> Any:
    """A field's value as JSON."""
    if kind == "regions":
        return [encode_region(region) for region in value]
    if kind == "chain":
        return [encode_descriptor(one) for one in value]
    if kind == "u64":
        return hex(value)
    if kind == "host":
        return encode_host(value)
    if kind == "pages":
        return encode_pages(value)
    if kind == "memfd":
        return FILE_WORDS.get(value, value)
    return value


def decode_hex(where: str, value: Any, largest: int = U64_MAX) -> int:
    """A hexadecimal string such as "0x1000"."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise FormatError(where, f'{value!r} is not a hexadecimal string such as "0x1000"')
    try:
        number = int(value, 16)
    except ValueError:
        raise FormatError(where, f'{value!r} is not a hexadecimal string such as "0x1000"') from None
    if number > largest:
        raise FormatError(where, f"{value} is larger than {hex(largest)}")
    return number


def decode_int(where: str, value: Any, least: int, largest: int) -> int:
    """A JSON number without a fraction in least..largest."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise FormatError(where, f"{value!r} is not a whole number")
    if not least <= value <= largest:
        raise FormatError(where, f"{value} is not in {least}..{largest}")
    return value


def decode_bool(where: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise FormatError(where, f"{value!r} is neither true nor false")
    return value


def decode_text(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise FormatError(where, f"{value!r} is not a string")
    return value


def decode_list(where: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise FormatError(where, f"expected a list, found {type(value).__name__}")
    return value


def decode_object(where: str, value: Any, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """An object with exactly these members."""
    if not isinstance(value, dict):
        raise FormatError(where, f"expected an object, found {type(value).__name__}")
    for name in required:
        if name not in value:
            raise FormatError(where, f"the member {name!r} is missing")
    for name in value:
        if name not in required and name not in optional:
            known = ", ".join((*required, *optional)) or "none"
            raise FormatError(f"{where}.{name}", f"unknown member; known here: {known}")
    return value


def decode_host(where: str, value: Any) -> int:
    if not isinstance(value, dict):
        return decode_hex(where, value)
    decode_object(where, value, ("backing", "offset"))
    backing = decode_text(f"{where}.backing", value["backing"])
    if backing not in backings.BASES:
        raise FormatError(f"{where}.backing", f"there is no backing {backing!r}; there are {', '.join(backings.BASES)}")
    return backings.place(backing, decode_hex(f"{where}.offset", value["offset"]))


def decode_pages(where: str, value: Any) -> Pages:
    ranges: list[tuple[int, int]] = []
    for index, item in enumerate(decode_list(where, value)):
        here = f"{where}[{index}]"
        decode_object(here, item, ("first", "last"))
        first = decode_int(f"{here}.first", item["first"], 0, LAST_PAGE)
        last = decode_int(f"{here}.last", item["last"], 0, LAST_PAGE)
        if last < first:
            raise FormatError(here, f"the last page {last} comes before the first, {first}")
        ranges.append((first, last))
    return pages_in(tuple(ranges))


def decode_memfd(where: str, value: Any) -> int:
    if isinstance(value, str):
        if value not in FILES_BY_WORD:
            raise FormatError(where, f"{value!r} is no file; it is a number or one of {', '.join(FILES_BY_WORD)}")
        return FILES_BY_WORD[value]
    return decode_int(where, value, 0, U32_MAX)


def decode_backend(where: str, value: Any) -> str:
    if value not in BACKENDS:
        raise FormatError(where, f"{value!r} is no backend; there are {', '.join(BACKENDS)}")
    return str(value)


def decode_regions(where: str, value: Any) -> tuple[Region, ...]:
    regions = []
    for index, item in enumerate(decode_list(where, value)):
        here = f"{where}[{index}]"
        decode_object(here, item, ("gpa", "size", "hva"))
        gpa, size = decode_hex(f"{here}.gpa", item["gpa"]), decode_hex(f"{here}.size", item["size"])
        regions.append(Region(gpa, size, decode_host(f"{here}.hva", item["hva"])))
    return tuple(regions)


def decode_chain(where: str, value: Any) -> Chain:
    items = enumerate(decode_list(where, value))
    return tuple(decode_descriptor(f"{where}[{index}]", item) for index, item in items)


def decode_descriptor(where: str, value: Any) -> Descriptor:
    decode_object(where, value, ("addr", "length", "writable"), ("table", "table_host"))
    if ("table" in value) != ("table_host" in value):
        raise FormatError(where, "an indirect descriptor has both of table and table_host")
    return Descriptor(
        addr=decode_hex(f"{where}.addr", value["addr"]),
        length=decode_int(f"{where}.length", value["length"], 0, U32_MAX),
        writable=decode_bool(f"{where}.writable", value["writable"]),
        table=decode_chain(f"{where}.table", value["table"]) if "table" in value else None,
        table_host=decode_host(f"{where}.table_host", value["table_host"]) if "table" in value else 0,
    )


def decode(kind: str, where: str, value: Any) -> Any:
    """A field's value from JSON. Raises FormatError."""
    match kind:
        case "byte":
            return decode_int(where, value, 0, 255)
        case "access":
            return decode_int(where, value, 1, 2)
        case "backend":
            return decode_backend(where, value)
        case "regions":
            return decode_regions(where, value)
        case "chain":
            return decode_chain(where, value)
        case "bool":
            return decode_bool(where, value)
        case "u64":
            return decode_hex(where, value)
        case "host":
            return decode_host(where, value)
        case "u32" | "count":
            return decode_int(where, value, 0, U32_MAX)
        case "version":
            return decode_int(where, value, 1, 2)
        case "length":
            return decode_int(where, value, 1, LONGEST_WRITE)
        case "memfd":
            return decode_memfd(where, value)
        case "pages":
            return decode_pages(where, value)
    raise AssertionError(f"no such kind: {kind}")
