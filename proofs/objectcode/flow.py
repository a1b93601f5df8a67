"""The control flow of a function: where its loops begin, and at which of those places every loop can be cut."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import combinations

from proofs.objectcode.cannot import Cannot
from proofs.objectcode.image import Function, Image
from proofs.objectcode.instructions import MEMORY, REGISTER, Instruction, decode, registers

MOST_HEADS = 8
Graph = dict[int, list[int]]


def graph_of(image: Image, function: Function) -> Graph:
    """The instructions that can be reached from a function's entry without leaving it, and where each goes on."""
    graph: Graph = {}
    open_ = [function.start]
    while open_:
        address = open_.pop()
        if address in graph:
            continue
        instruction = decode(image, address)
        graph[address] = [one for one in successors(instruction) if function.has(one)]
        open_.extend(graph[address])
    return graph


def successors(instruction: Instruction) -> list[int]:
    """Where an instruction goes on: a call behind itself. Raises Cannot for a jump that only shows when it runs."""
    found = []
    for one in instruction.operations:
        goes_out = bool(one.inputs) and one.inputs[0].space == MEMORY
        if one.name in ("BRANCH", "CBRANCH") and goes_out:
            found.append(one.inputs[0].offset)
        if one.name == "BRANCHIND":
            if any(each.name.startswith("CALLOTHER") for each in instruction.operations):
                return found  # a trap
            raise Cannot(f"the jump at {instruction.address:#x} goes where the code says only when it runs")
        if one.name == "RETURN" or (one.name == "BRANCH" and goes_out):
            return found
    return [*found, instruction.address + instruction.length]


def loop_heads(graph: Graph, start: int) -> list[int]:
    """Where loops begin: the targets of jumps back to an instruction that every way from the entry to the jump leads
    through. Raises Cannot for a loop that has two entrances.
    """
    heads = []
    for source, target in _backward(graph, start):
        if source in _reached(graph, start, {target}):
            raise Cannot(f"the loop at {target:#x} has more than one entrance")
        heads.append(target)
    return sorted(set(heads))


def _backward(graph: Graph, start: int) -> list[tuple[int, int]]:
    """The jumps to an instruction that is open in a walk in depth."""
    found, open_, done = [], {start}, set()
    stack: list[tuple[int, Iterable[int]]] = [(start, iter(graph[start]))]
    while stack:
        node, rest = stack[-1]
        for after in rest:
            if after in open_:
                found.append((node, after))
            elif after not in done:
                open_.add(after)
                stack.append((after, iter(graph[after])))
                break
        else:
            stack.pop()
            open_.discard(node)
            done.add(node)
    return found


def _reached(graph: Graph, start: int, without: Collection[int]) -> set[int]:
    """What can be reached without going through some instructions."""
    seen: set[int] = set()
    open_ = [start] if start not in without else []
    while open_:
        node = open_.pop()
        if node not in seen:
            seen.add(node)
            open_.extend(one for one in graph[node] if one not in without)
    return seen


def is_cut(graph: Graph, start: int, cuts: Collection[int]) -> bool:
    """Whether no loop is left without these instructions."""
    rest = {node: [one for one in after if one not in cuts] for node, after in graph.items() if node not in cuts}
    return not any(_backward(rest, node) for node in rest)


def cuts_of(image: Image, function: Function) -> tuple[int, ...]:
    """The fewest heads of loops that cut all loops of a function."""
    graph = graph_of(image, function)
    heads = loop_heads(graph, function.start)
    if len(heads) > MOST_HEADS:
        raise Cannot(f"{function.name} has {len(heads)} loops, more than {MOST_HEADS}")
    for many in range(len(heads) + 1):
        for chosen in combinations(heads, many):
            if is_cut(graph, function.start, chosen):
                return chosen
    raise Cannot(f"the loops of {function.name} cannot be cut at their heads")


def calls_of(image: Image, function: Function, callee: str) -> list[int]:
    """The instructions of a function that call a function of this name."""
    wanted = image.address_of_name(callee)
    return [
        address
        for address in graph_of(image, function)
        for one in decode(image, address).operations
        if one.name == "CALL" and one.inputs[0].offset == wanted
    ]


def asks_first(image: Image, address: int) -> bool:
    """Whether the code from here on comes to a conditional jump before it reads memory other than its stack frame."""
    seen: set[int] = set()
    while address not in seen:
        seen.add(address)
        instruction = decode(image, address)
        names = [one.name for one in instruction.operations]
        inputs = {(each.space, each.offset) for one in instruction.operations for each in one.inputs}
        if "LOAD" in names and not inputs & {(REGISTER, registers()[one][0]) for one in ("RSP", "RBP")}:
            return False
        after = successors(instruction)
        if len(after) != 1:
            return "CBRANCH" in names
        [address] = after
    return False
