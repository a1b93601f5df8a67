"""Running machine code on symbols: one state for each way through, calls replaced by contracts.

What the machine cannot follow exactly it refuses with `Cannot`, never skips: an instruction or p-code operation without
a meaning, a jump to nowhere, a call without a contract, code that a kernel may rewrite, too many steps or paths.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import z3

from proofs.objectcode.cannot import Cannot
from proofs.objectcode.image import Function, Image
from proofs.objectcode.instructions import CONST, MEMORY, REGISTER, Instruction, Operand, Operation, decode
from proofs.objectcode.integers import Solver
from proofs.objectcode.meaning import DIVISIONS, compute
from proofs.objectcode.memory import STACK, Memory, World
from proofs.objectcode.state import ARRIVED, GENERAL, RETURNED, TRAPPED, End, State
from proofs.objectcode.terms import joined, number

RETURN_ADDRESS = z3.BitVec("return address", 64)
STACK_POINTER = z3.BitVec("stack pointer", 64)  # at the function's entry


@dataclass(frozen=True)
class Limits:
    """How far a run may go."""

    steps: int = 4000  # of one path
    paths: int = 2000
    milliseconds: int = 2000  # of one question about a branch: undecided counts as feasible


def before(register: str) -> Any:
    """What a register holds when the function is entered, if the proof says nothing of it."""
    return z3.BitVec(f"{register} before", 64)


# What a call does in place of the callee: it changes the state, or makes several of it. The return address is gone
# from the stack when it is asked, and the code goes on behind the call.
Contract = Callable[["Machine", State], Iterable[State]]


class Machine:
    """The code of one image, and what stands in for what it calls. `given` are formulas that hold on every path."""

    def __init__(
        self,
        image: Image,
        contracts: Mapping[str, Contract],
        given: Iterable[Any] = (),
        limits: Limits = Limits(),
    ) -> None:
        self.image, self.contracts, self.limits = image, contracts, limits
        self.world = World(image)
        self.world.declare(STACK_POINTER, STACK, {"return address": (0, RETURN_ADDRESS)}, frozenset())
        self.given = list(given)
        self.solver = Solver(self.limits.milliseconds)
        self.solver.add(*self.given)
        self.questions = 0
        self._decoded: dict[int, Instruction] = {}

    # RUNNING -----------------------------------------------------------------------------------------------------

    def start(self, function: Function, arguments: Mapping[str, Any]) -> State:
        """The state in which a function is entered, with these values of registers."""
        state = State(Memory(self.world), function.start)
        state.set("RSP", STACK_POINTER)
        state.set("DF", z3.BitVecVal(0, 8))  # System V ABI: strings go upwards
        for register in GENERAL:
            state.set(register, before(register))
        for register, value in arguments.items():
            state.set(register, value)
        return state

    def run(self, state: State, until: Collection[int] = ()) -> list[State]:
        """All states in which a path from here ends: at a return, a trap, or the first of the addresses in `until` that
        it comes to (not counting where it starts). Raises Cannot.
        """
        open_, ended = [state.copy()], []
        while open_:
            one = open_.pop()
            for after in self._step(one):
                after.steps += 1
                if after.end is None and after.address in until:
                    after.end = End(ARRIVED, after.address)
                if after.end is not None:
                    ended.append(after)
                elif after.steps > self.limits.steps:
                    raise Cannot(f"a path has more than {self.limits.steps} instructions: a loop without a cut?")
                else:
                    open_.append(after)
                if len(open_) + len(ended) > self.limits.paths:
                    raise Cannot(f"there are more than {self.limits.paths} paths")
        return ended

    def is_feasible(self, conditions: Iterable[Any]) -> bool:
        """Whether formulas may hold together with what is given; undecided counts as yes."""
        return bool(self._ask(conditions) != z3.unsat)

    def is_so(self, state: State, formula: Any) -> bool:
        """Whether a formula holds for certain on a path."""
        formula = z3.simplify(formula)
        if z3.is_true(formula):
            return True
        if z3.is_false(formula):
            return False
        return bool(self._ask([*state.conditions, z3.Not(formula)]) == z3.unsat)

    def _ask(self, conditions: Iterable[Any]) -> Any:
        self.questions += 1
        return self.solver.check(*conditions)

    # ONE INSTRUCTION ---------------------------------------------------------------------------------------------

    def _step(self, state: State) -> list[State]:
        instruction = self._decoded.get(state.address)
        if instruction is None:
            self._refuse_rewritten(state.address)
            instruction = self._decoded[state.address] = decode(self.image, state.address)
        done: list[State] = []
        work: list[tuple[State, dict[int, tuple[Any, int]], int]] = [(state, {}, 0)]
        while work:
            one, scratch, at = work.pop()
            self._operations(_Run(self, one, scratch, instruction), at, work, done)
        return done

    def _refuse_rewritten(self, address: int) -> None:
        why = self.image.rewritten_sites().get(address)
        if why is not None:
            raise Cannot(f"the kernel may rewrite the instruction at {address:#x}: it is {why}")

    def _operations(self, run: _Run, at: int, work: list[Any], done: list[State]) -> None:
        """Operations of an instruction from the one at `at` on, until the instruction is over or the path forks."""
        instruction, state = run.instruction, run.state
        behind = instruction.address + instruction.length
        while at < len(instruction.operations):
            operation = instruction.operations[at]
            name, inputs = operation.name, operation.inputs
            if name == "CBRANCH":
                for taken in (True, False):
                    other = run.branch(inputs[1], taken)
                    if other is None:
                        continue
                    if not taken:
                        work.append((other, dict(run.scratch), at + 1))
                    elif inputs[0].space == CONST:
                        work.append((other, dict(run.scratch), at + _distance(inputs[0])))
                    else:
                        self._jump(other, inputs[0].offset, done)
                return
            if name == "BRANCH" and inputs[0].space == CONST:
                at += _distance(inputs[0])
                continue
            if name in ("BRANCH", "CALL"):
                return self._go(state, instruction, name, inputs[0].offset, done)
            if name in ("BRANCHIND", "CALLIND"):
                target = z3.simplify(run.read(inputs[0]))
                if not z3.is_bv_value(target):
                    raise Cannot(f"the jump at {instruction.address:#x} goes where the code says only when it runs")
                return self._go(state, instruction, name.removesuffix("IND"), target.as_long(), done)
            if name == "RETURN":
                return self._return(state, run.read(inputs[0]), done)
            if name.startswith("CALLOTHER"):
                if name.split()[1] not in ("invalidInstructionException", "swi"):
                    raise Cannot(f"the instruction at {instruction.address:#x} has no meaning here ({name})")
                state.end = End(TRAPPED, instruction.address)
                done.append(state)
                return None
            run.compute(operation)
            at += 1
        if at > len(instruction.operations):
            raise Cannot(f"the p-code of {instruction.address:#x} jumps out of itself")
        state.address = behind
        done.append(state)
        return None

    # WHERE TO ----------------------------------------------------------------------------------------------------

    def _go(self, state: State, instruction: Instruction, how: str, target: int, done: list[State]) -> None:
        """A jump or a call. The return address of a call is on the stack."""
        if how != "CALL":
            return self._jump(state, target, done)
        name = self.image.name_at(target)
        if name is not None and name in self.contracts:
            state.set("RSP", z3.simplify(state.get("RSP") + number(8)))
            for after in self.contracts[name](self, state):
                after.address = instruction.address + instruction.length
                done.append(after)
            return None
        self._require_code(name, target)
        state.address = target
        done.append(state)
        return None

    def _jump(self, state: State, target: int, done: list[State]) -> None:
        """A jump; one to a function with a contract is a call and a return."""
        name = self.image.name_at(target)
        if name is not None and name in self.contracts:
            top = state.get("RSP")
            back = self.load(state, top, 8)
            state.set("RSP", z3.simplify(top + number(8)))
            for after in self.contracts[name](self, state):
                self._return(after, back, done)
            return
        self._require_code(name, target)
        state.address = target
        done.append(state)

    def _require_code(self, name: str | None, target: int) -> None:
        if not self.image.is_code(target):
            raise Cannot(f"{name or hex(target)} is called, of which there is neither code nor a contract")

    def _return(self, state: State, target: Any, done: list[State]) -> None:
        target = z3.simplify(target)
        if z3.is_bv_value(target):
            if not self.image.is_code(target.as_long()):
                raise Cannot(f"a return to {target.as_long():#x}, where there is no code")
            state.address = target.as_long()
        elif z3.eq(target, RETURN_ADDRESS) and z3.eq(z3.simplify(state.get("RSP") - STACK_POINTER), number(8)):
            state.end = End(RETURNED)
        else:
            raise Cannot("a return that does not go to the caller, or leaves the stack pointer wrong")
        done.append(state)

    # MEMORY ------------------------------------------------------------------------------------------------------

    def load(self, state: State, address: Any, size: int) -> Any:
        """What is in memory on a path."""
        return state.memory.load(address, size, lambda formula: self.is_so(state, formula))


@dataclass
class _Run:
    """An instruction that is run on a state, with its scratch values."""

    machine: Machine
    state: State
    scratch: dict[int, tuple[Any, int]]
    instruction: Instruction

    def read(self, place: Operand) -> Any:
        if place.space == CONST:
            return z3.BitVecVal(place.offset, 8 * place.size)
        if place.space == REGISTER:
            return self.state.read(place.offset, place.size)
        if place.space == MEMORY:
            return self.machine.load(self.state, number(place.offset), place.size)
        try:
            return joined([self.scratch[at] for at in range(place.offset, place.offset + place.size)])
        except KeyError:
            raise Cannot("the p-code of an instruction reads a scratch value that it did not write") from None

    def write(self, place: Operand, value: Any) -> None:
        value = z3.simplify(value)
        if place.space == REGISTER:
            self.state.write(place.offset, value)
        elif place.space == MEMORY:
            self.state.memory.store(number(place.offset), value)
        else:
            for at in range(place.size):
                self.scratch[place.offset + at] = (value, at)

    def compute(self, operation: Operation) -> None:
        inputs = [self.read(one) for one in operation.inputs]
        if operation.name == "STORE":
            self.state.memory.store(inputs[0], inputs[1])
            return
        if operation.output is None:
            raise Cannot(f"the p-code operation {operation.name} has no meaning here")
        if operation.name == "LOAD":
            self.write(operation.output, self.machine.load(self.state, inputs[0], operation.output.size))
            return
        if operation.name in DIVISIONS:
            self._require_divides(operation.name, *inputs)
        self.write(operation.output, compute(operation.name, inputs, 8 * operation.output.size))

    def _require_divides(self, name: str, dividend: Any, divisor: Any) -> None:
        """A processor divides a number by one of half its width, and traps unless the quotient has that width too."""
        half = divisor.size() // 2
        quotient = compute(name.replace("REM", "DIV"), [dividend, divisor], dividend.size())
        low = z3.Extract(half - 1, 0, quotient)
        back = z3.SignExt(half, low) if name.startswith("INT_S") else z3.ZeroExt(half, low)
        if not self.machine.is_so(self.state, z3.And(divisor != 0, back == quotient)):
            raise Cannot(f"the division at {self.instruction.address:#x} may trap")

    def branch(self, condition: Operand, taken: bool) -> State | None:
        """The state on one side of a branch, or None if no path goes there."""
        flag = z3.simplify(self.read(condition) != 0)
        formula = flag if taken else z3.simplify(z3.Not(flag))
        if z3.is_false(formula):
            return None
        state = self.state.copy()
        if z3.is_true(formula):
            return state
        if not self.machine.is_feasible([*state.conditions, formula]):
            return None
        state.assume(formula)
        state.visits = (*state.visits, self.instruction.address)
        return state


def _distance(target: Operand) -> int:
    """How far a jump within an instruction's p-code goes, in operations."""
    span = 2 ** (8 * target.size)
    return target.offset - span if target.offset >= span // 2 else target.offset
