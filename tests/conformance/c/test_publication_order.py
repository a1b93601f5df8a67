"""The C library publishes in the order of the model's steps: what it calls is recorded, and compared with the model.

Every order of readers and writer is enumerated for the model (model/libgpamap). This ties the bodies of publish,
take_back and what they call to it: by the order of calls, not by what the functions write, and where memory is had.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.targets.c import build
from model.libgpamap.heap import C_FUNCTIONS
from model.libgpamap.scenes import TRACES, Call, Trace, host_of, played
from model.libgpamap.writer import Writer, id_of, space_of

from .planted import Bug, bug, planted_base

PROGRAM = Path(__file__).parent / "programs" / "traced.c"
# What a publication is made of. How blocks are split and joined for an edit is the subject of other tests.
STEPS = frozenset(
    [
        "gpamap_set_region",
        "gpamap_begin",
        "gpamap_commit",
        "gpamap_abort",
        "make_change",
        "view_replace",
        "publish",
        "index_seal",
        "gate_publish",
        "wait_for",
        "view_follow",
        "index_follow",
        "view_copy_id",
        "free_slots",
        "pool_free_retired",
        "take_back",
        "index_revert",
        "pool_keep_retired",
    ]
)
AT_GATE = "\tgate_publish(&map->gate, view);\n"
FREED = "\tpool_free_retired(&map->pool);\n"
HVA_FOLLOWS = "\tindex_follow(&map->pool, &other->by_hva, &view->by_hva);\n"
OUT = "\tfree_slots(map, map->went, true);\n"
REORDERED: tuple[Bug, ...] = (
    bug("freed-first", "order", "Retired blocks go before the wait.", ("publish.c", AT_GATE, FREED + AT_GATE)),
    bug(
        "follows-first",
        "order",
        "The other view follows before its readers have left.",
        ("publish.c", HVA_FOLLOWS, ""),
        ("publish.c", AT_GATE, HVA_FOLLOWS + AT_GATE),
    ),
    bug(
        "slots-first",
        "order",
        "Slots go before the other view has followed.",
        ("publish.c", OUT, ""),
        ("publish.c", HVA_FOLLOWS, OUT + HVA_FOLLOWS),
    ),
    bug(
        "sealed-late",
        "order",
        "Hints are made when readers are there.",
        ("publish.c", "\tindex_seal(&map->pool, &view->by_hva, &other->by_hva);\n", ""),
        ("publish.c", AT_GATE, AT_GATE + "\tindex_seal(&map->pool, &view->by_hva, &other->by_hva);\n"),
    ),
    bug(
        "not-waited-for",
        "order",
        "Nobody is waited for.",
        ("gate.c", "reader = gate->readers; reader; reader", "reader = NULL; reader; reader"),
    ),
)


class Recorded(list[str]):
    """Names of running functions, and all that ever ran, in the order in which they were entered."""

    def __init__(self, running: list[str]) -> None:
        super().__init__(running)
        self.entered: list[str] = []

    def append(self, name: str) -> None:
        super().append(name)
        self.entered.append(name)


def in_model(trace: Trace) -> list[str]:
    writer = Writer(range(1))
    writer.heap.functions = recorded = Recorded(writer.heap.functions)
    assert played(Trace(trace.name, (), trace.before), writer).wrong is None
    before = len(recorded.entered)
    writer = Writer(range(1))
    writer.heap.functions = recorded = Recorded(writer.heap.functions)
    assert played(trace, writer).wrong is None
    return [name for name in recorded.entered[before:] if name in STEPS]


def words_of(calls: tuple[Call, ...]) -> Iterator[str]:
    """For the program: the model counts pages, and has other slot words."""
    for call in calls:
        if isinstance(call, str):
            yield call
            continue
        word, first = call
        name = space_of(word) * 65536 + id_of(word)
        yield f"delete {name}" if first is None else f"set {name} {first * 0x1000:x} {host_of(word) * 0x1000:x}"


def traced_program(base: Path) -> Path:
    """Objects of the library that tell of their calls, linked at fixed addresses with what is told."""
    cc = build.compiler()
    flags = (*build.WARNINGS, "-D_GNU_SOURCE", "-O0", "-fno-pie")
    instrumented = (*flags, "-c", "-finstrument-functions")
    places = (base / "include", base / "src")
    parts = [build.compile_cached(f"{one.stem}.o", cc, instrumented, [one], places) for one in build.sources(base)]
    parts.append(build.compile_cached("traced.o", cc, (*flags, "-c"), [PROGRAM], places))
    return build.compile_cached("traced", cc, ("-no-pie",), parts, ())


def names_in(program: Path) -> dict[int, str]:
    lines = subprocess.run(["nm", str(program)], capture_output=True, text=True, check=True).stdout.splitlines()
    return {int(line.split()[0], 16): line.split()[2] for line in lines if line.split()[-2] in ("t", "T")}


def in_c(program: Path, names: dict[int, str], trace: Trace) -> list[str]:
    lines = "\n".join((*words_of(trace.before), "trace", *words_of(trace.calls)))
    done = subprocess.run([str(program)], input=lines, capture_output=True, text=True, timeout=60, check=True)
    entered = (names[int(line, 16)] for line in done.stdout.splitlines())
    return [name for name in entered if name in STEPS]


def differences(base: Path) -> list[str]:
    """The traces in which the library does not call what the model says."""
    program = traced_program(base)
    names = names_in(program)
    assert set(names.values()) >= STEPS
    return [trace.name for trace in TRACES if in_c(program, names, trace) != in_model(trace)]


def test_all_steps_are_modelled_and_happen() -> None:
    assert STEPS <= C_FUNCTIONS
    assert {name for trace in TRACES for name in in_model(trace)} == STEPS


def test_the_library_publishes_in_the_order_of_the_model() -> None:
    assert differences(build.HERE) == []


@pytest.mark.slow
@pytest.mark.parametrize("one", REORDERED, ids=lambda one: one.name)
def test_another_order_is_seen(one: Bug) -> None:
    with planted_base(one) as base:
        assert differences(base)
