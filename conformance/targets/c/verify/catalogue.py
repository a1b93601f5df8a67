"""All harnesses, in the order in which they are shown."""

from __future__ import annotations

from conformance.targets.c.verify.harness import Harness, Plant

TRANSLATE = (
    Harness(
        name="walk",
        shows="A translation gives the bytes in order, each where its entry says, and stops for the reason it names.",
        bound="2 segments, unwind 4; tables of any size, all 64-bit values",
        file="check_translate.c",
        function="walk",
        unwind=4,
        plants=(
            Plant(
                "the end of an entry is compared as a sum, which wraps at 2^64",
                "translate.c",
                "if (left - 1 > mapping->last - address)",
                "if (address + left > mapping->last + 1)",
            ),
        ),
    ),
)

HARNESSES: tuple[Harness, ...] = (*TRANSLATE,)


def harness_named(name: str) -> Harness:
    """The harness with this name. Raises KeyError."""
    return {one.name: one for one in HARNESSES}[name]
