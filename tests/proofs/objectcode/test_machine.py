"""What the machine follows, and what it refuses: memory, calls, jumps, loops."""

from __future__ import annotations

from pathlib import Path

import pytest
import z3

from proofs.objectcode.calls import does_nothing, recorded
from proofs.objectcode.cannot import Cannot
from proofs.objectcode.elf import read_object
from proofs.objectcode.flow import asks_first, cuts_of, graph_of, is_cut, loop_heads
from proofs.objectcode.image import Image
from proofs.objectcode.machine import Limits, Machine
from proofs.objectcode.memory import STACK, apart
from proofs.objectcode.state import RETURNED, TRAPPED, State
from tests.proofs.objectcode.code import object_of

P, Q, A, B = z3.BitVecs("p q a b", 64)
NONE: frozenset[str] = frozenset()


def machine_of(text: str, directory: Path, *flags: str, **options: object) -> Machine:
    return Machine(Image(object_of(text, directory, *flags)), {}, **options)  # type: ignore[arg-type]


def run(machine: Machine, **registers: object) -> list[State]:
    return machine.run(machine.start(machine.image.function("f"), registers))


TWO_POINTERS = "long f(long *p, long *q) { *p = 1; *q = 2; return *p; }"


def test_two_pointers_may_be_one_unless_that_is_excluded(tmp_path: Path) -> None:
    machine = machine_of(TWO_POINTERS, tmp_path)
    with pytest.raises(Cannot, match="the proof must say whether the two are apart"):
        run(machine, RDI=P, RSI=Q)
    [end] = run(machine_of(TWO_POINTERS, tmp_path, given=[P == Q]), RDI=P, RSI=Q)
    assert z3.simplify(end.get("RAX")).as_long() == 2
    [end] = run(machine_of(TWO_POINTERS, tmp_path, given=[apart(P, 8, Q, 8)]), RDI=P, RSI=Q)
    assert z3.simplify(end.get("RAX")).as_long() == 1
    machine = machine_of(TWO_POINTERS, tmp_path)
    machine.world.declare(P, "one", {}, frozenset({"other"}))
    machine.world.declare(Q, "other", {}, NONE)
    [end] = run(machine, RDI=P, RSI=Q)
    assert z3.simplify(end.get("RAX")).as_long() == 1
    assert {one for one in machine.world.assumed if STACK not in one} == {("one", "other")}


def test_what_is_not_declared_is_not_read(tmp_path: Path) -> None:
    machine = machine_of("struct s { long a, b; }; long f(struct s *p) { return p->b; }", tmp_path)
    machine.world.declare(P, "thing", {"a": (0, A)}, NONE)
    with pytest.raises(Cannot, match=r"reads 8 bytes at thing\+0x8, of which the proof says nothing"):
        run(machine, RDI=P)
    machine.world.declare(P, "thing", {"b": (8, B)}, NONE)
    [end] = run(machine, RDI=P)
    assert z3.eq(end.get("RAX"), B)


@pytest.mark.parametrize("flag", ["-O0", "-O2"])
def test_what_is_at_a_computed_address_is_what_the_solver_shows(flag: str, tmp_path: Path) -> None:
    text = "struct s { long a, b, c; }; long f(struct s *p, int i) { return p[i + 1].b; }"
    number = z3.BitVec("number", 32)
    for factor, is_there in ((24, True), (16, False)):
        machine = machine_of(text, tmp_path, flag, given=[z3.ULT(number, 1000)])
        place = P + factor * z3.ZeroExt(32, number) + 24
        machine.world.declare_computed(place, "the next", {"a": (0, A), "b": (8, B)})
        if is_there:
            [end] = run(machine, RDI=P, RSI=z3.Concat(z3.BitVec("above", 32), number))
            assert z3.eq(z3.simplify(end.get("RAX")), B)
        else:
            with pytest.raises(Cannot, match="of which the proof says nothing"):
                run(machine, RDI=P, RSI=z3.Concat(z3.BitVec("above", 32), number))


def test_what_was_written_before_a_cut_is_not_read_as_it_was(tmp_path: Path) -> None:
    machine = machine_of("long f(long *p, long *q) { return *p; }", tmp_path, "-O1")
    machine.world.declare(P, "thing", {"a": (0, A)}, NONE)
    state = machine.start(machine.image.function("f"), {"RDI": P})
    before = state.copy()
    before.memory.store(P, B)
    state.memory.forgotten = before.memory.written()
    with pytest.raises(Cannot, match="was written in a pass before"):
        machine.run(state)
    state.memory.store(P, B)
    [end] = machine.run(state)
    assert z3.eq(end.get("RAX"), B)


def test_parts_of_a_field_are_its_bytes(tmp_path: Path) -> None:
    text = "#include <stdint.h>\nuint64_t f(uint8_t *p) { p[3] = 0xab; return *(uint32_t *)(p + 2); }"
    machine = machine_of(text, tmp_path, "-O1", "-fno-strict-aliasing")
    machine.world.declare(P, "bytes", {"all": (0, A)}, NONE)
    [end] = run(machine, RDI=P)
    value = z3.simplify(z3.substitute(end.get("RAX"), (A, z3.BitVecVal(0x8877665544332211, 64))))
    assert value.as_long() == 0x6655AB33


def test_constants_and_addresses_are_those_of_the_file(tmp_path: Path) -> None:
    text = "static const long table[4] = {7, 8, 9, 10}; extern long other; long *g(void) { return &other; }"
    text += " long f(void) { const long *volatile p = table; return p[2]; }"
    [end] = run(machine_of(text, tmp_path, "-O1", "-fPIC"))
    assert z3.simplify(end.get("RAX")).as_long() == 9
    image = Image(object_of(text, tmp_path, "-O1", "-fPIC"))
    [end] = Machine(image, {}).run(Machine(image, {}).start(image.function("g"), {}))
    assert z3.simplify(end.get("RAX")).as_long() == image.address_of_name("other")


CALLS = "long other(long); long f(long a, long b) { return other(a + 1) + b; }"


def test_a_call_needs_a_contract_and_is_recorded(tmp_path: Path) -> None:
    image = Image(object_of(CALLS, tmp_path))
    with pytest.raises(Cannot, match="other is called, of which there is neither code nor a contract"):
        run(Machine(image, {}), RDI=A, RSI=B)
    result = z3.BitVec("result", 64)
    [end] = run(Machine(image, {"other": recorded("other", (64,), lambda state: result)}), RDI=A, RSI=B)
    [event] = end.events
    assert event.callee == "other" and z3.eq(z3.simplify(event.arguments[0] - A), z3.BitVecVal(1, 64))
    assert z3.eq(z3.simplify(end.get("RAX") - result), B)


def test_a_callee_may_change_what_it_may_change(tmp_path: Path) -> None:
    """A contract that keeps registers that a callee may change would prove what is not so."""
    [end] = run(
        Machine(
            Image(object_of('long other(void); long f(void) { other(); asm("" : : ); }', tmp_path, "-O0")),
            {"other": recorded("other", ())},
        ),
        RDI=A,
    )
    assert not z3.eq(z3.simplify(end.get("RDI")), A) and "after call" in str(z3.simplify(end.get("RDI")))


def test_a_function_of_the_file_is_run(tmp_path: Path) -> None:
    text = (
        "__attribute__((noinline)) static long g(long a) { return a * 3; } long f(long a) { return g(a) + g(a + 1); }"
    )
    [end] = run(machine_of(text, tmp_path, "-O1"), RDI=A)
    assert z3.simplify(end.get("RAX") - 6 * A).as_long() == 3


def test_a_trap_is_an_end_of_its_own(tmp_path: Path) -> None:
    ends = run(machine_of("long f(long a) { if (a == 5) __builtin_trap(); return a; }", tmp_path), RDI=A)
    kinds = {one.end.kind for one in ends if one.end is not None}
    assert kinds == {RETURNED, TRAPPED}


@pytest.mark.slow
def test_a_division_that_may_trap_is_refused(tmp_path: Path) -> None:
    text = "unsigned long f(unsigned long a, unsigned long b) { return a / b; }"
    with pytest.raises(Cannot, match=r"the division at .* may trap"):
        run(machine_of(text, tmp_path), RDI=A, RSI=B)
    [end] = run(machine_of(text, tmp_path, given=[B == 10]), RDI=A, RSI=B)
    assert (
        z3.simplify(z3.substitute(end.get("RAX"), (A, z3.BitVecVal(57, 64)), (B, z3.BitVecVal(10, 64)))).as_long() == 5
    )


LOOP = """long f(long a, long b) {
    long s = 0;
    for (long i = 0; i < a; i++) for (long j = i; j < b; j++) s ^= i * j;
    return s;
}"""


@pytest.mark.slow
def test_a_loop_without_a_cut_has_an_end(tmp_path: Path) -> None:
    with pytest.raises(Cannot, match="more than"):
        run(machine_of(LOOP, tmp_path, limits=Limits(steps=200, paths=50)), RDI=A, RSI=B)


@pytest.mark.parametrize("flags", [("-O0",), ("-O1",), ("-O2",)])
def test_all_loops_are_cut_at_their_heads(flags: tuple[str, ...], tmp_path: Path) -> None:
    image = Image(object_of(LOOP, tmp_path, *flags))
    function = image.function("f")
    graph = graph_of(image, function)
    cuts = cuts_of(image, function)
    assert 1 <= len(cuts) <= 2 and set(cuts) <= set(loop_heads(graph, function.start))
    assert is_cut(graph, function.start, cuts) and not is_cut(graph, function.start, ())
    machine = Machine(image, {})
    assert machine.run(machine.start(function, {"RDI": A, "RSI": B}), cuts)


@pytest.mark.parametrize("asks", [True, False])
def test_it_is_seen_whether_a_loop_asks_before_it_reads(asks: bool, tmp_path: Path) -> None:
    loop = "while (n) { s += *p; p++; n--; }" if asks else "do { s += *p; p++; n--; } while (n);"
    text = f"long f(long *p, long n) {{ long s = 0; {loop} return s; }}"
    flags = ("-Os", "-fno-tree-ch") if asks else ("-Os",)
    image = Image(object_of(text, tmp_path, *flags))
    [cut] = cuts_of(image, image.function("f"))
    assert asks_first(image, cut) == asks


def test_what_is_no_object_file_is_refused() -> None:
    for data in (b"", b"\x7fELF", b"MZ" + bytes(100)):
        with pytest.raises(Cannot, match="no ELF file"):
            read_object(data)
    with pytest.raises(Cannot, match="no relocatable"):
        read_object(Path("/proc/self/exe").read_bytes())


def test_a_hook_changes_nothing(tmp_path: Path) -> None:
    image = Image(object_of("long f(long a) { return a; }", tmp_path, "-O1", "-pg", "-mfentry"))
    [end] = run(Machine(image, {"__fentry__": does_nothing}), RDI=A)
    assert z3.eq(end.get("RAX"), A)
