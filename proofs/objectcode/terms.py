"""Addresses as a base and a distance from it."""

from __future__ import annotations

from typing import Any

import z3

WORD = 64


def number(value: int, bits: int = WORD) -> Any:
    return z3.BitVecVal(value, bits)


def split(address: Any) -> tuple[Any, int]:
    """An address as (base, distance): the base is None for a plain number. Distances are within +-2^63."""
    address = z3.simplify(address)
    if z3.is_bv_value(address):
        return None, address.as_long()
    if not z3.is_app_of(address, z3.Z3_OP_BADD):
        return address, 0
    parts = address.children()
    distance = sum(part.as_signed_long() for part in parts if z3.is_bv_value(part))
    rest = [part for part in parts if not z3.is_bv_value(part)]
    if len(rest) == len(parts):
        return address, 0
    base = rest[0] if len(rest) == 1 else z3.simplify(sum(rest[1:], rest[0]))
    return base, distance


def key(base: Any) -> str:
    """What two bases have in common exactly if they are the same term."""
    return "" if base is None else str(base.sexpr())


def joined(parts: list[tuple[Any, int]]) -> Any:
    """A bit-vector from its bytes, the lowest first. Each byte is (term, which byte of the term)."""
    first, start = parts[0]
    if (
        start == 0
        and 8 * len(parts) == first.size()
        and all(term is first and which == at for at, (term, which) in enumerate(parts))
    ):
        return first
    pieces = []
    at = 0
    while at < len(parts):  # bytes of one term that follow each other are one piece
        term, low = parts[at]
        length = 1
        while at + length < len(parts) and parts[at + length][0] is term and parts[at + length][1] == low + length:
            length += 1
        pieces.append(z3.Extract(8 * (low + length) - 1, 8 * low, term))
        at += length
    return z3.simplify(z3.Concat(*reversed(pieces)) if len(pieces) > 1 else pieces[0])


def symbols(term: Any) -> set[str]:
    """The names of the unknowns in a term."""
    found: set[str] = set()
    open_, seen = [term], set()
    while open_:
        one = open_.pop()
        if one.get_id() not in seen:
            seen.add(one.get_id())
            if z3.is_const(one) and one.decl().kind() == z3.Z3_OP_UNINTERPRETED:
                found.add(str(one))
            open_.extend(one.children())
    return found
