"""The machines do everything else that the specification does: logs, accesses, lookups.

The commuting square of each operation but a change of slots, for any number of slots in any number of address spaces.
Where both machines run the same code there is one theorem. A lookup by way of a cache, and a virtual CPU's, start from
any cache that is right (`TWOSETS.SEARCH`, `TWOSETS.VCPU.*`, `ARRAY.SEARCH`). Settings are changed by the step of the
specification itself on both sides, which is no refinement (`KEEPS.*`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from model.memslots import machine
from model.memslots.machine import Machine
from model.memslots.protocol import NO_BITMAP, SlotCopy, VcpuCache
from proofs.machines import Start
from proofs.sets import has
from proofs.squares import any_request, is_idle, square
from proofs.symbolic.boolean import all_of, implies
from proofs.theorem import UNBOUNDED, Bug, Patch, Theorem
from proofs.world import World
from spec.memslots.access import GUEST_SPACE, VcpuRead, VcpuWrite
from spec.memslots.lookup import Lookup
from spec.outcome import DirtyPages, Done, Outcome
from spec.pages import NO_PAGES
from spec.step import OPERATIONS
from spec.units import page_of

RULES = {operation.name: tuple(check.rule.id for check in operation.checks) for operation in OPERATIONS}
ACCESS_RULES = ("KVM.ACCESS.MAPPED", "KVM.ACCESS.WRITABLE")
ONE_PAGE = "writes within one page: a longer one is one such write after the other"

# INPUTS AND HYPOTHESES -------------------------------------------------------------------------------------------


def any_cache(operation: str) -> Callable[[World], dict[str, Any]]:
    """Any machine, a request, and what may be in the cache that it goes by."""

    def inputs(world: World) -> dict[str, Any]:
        made = any_request(operation)(world)
        return made | {
            "cached": world.candidate(made["start"].copies, "cached"),
            "is_cached": world.boolean("is_cached"),
            "cached_in": world.integer("cached_in", 0, 2**62),
        }

    return inputs


def has_right_cache(start: Start, request: Any, cached: SlotCopy, is_cached: Any, cached_in: int, **rest: Any) -> Any:
    """The machine is idle. In a set's cache is one of its slots or none; in a virtual CPU's too, if it is of now."""
    space = request.space if isinstance(request, Lookup) else GUEST_SPACE
    counts = all_of(is_cached, cached_in == start.generation) if goes_by_the_vcpu(request) else is_cached
    return all_of(is_idle(start, **rest), implies(counts, all_of(has(start.copies, cached), cached.space == space)))


def stays_within_a_page(start: Start, request: Any, **rest: Any) -> Any:
    """The machine is idle, its caches are right, and the write has one piece."""
    last = request.gpa + request.length - 1
    return all_of(has_right_cache(start, request, **rest), page_of(request.gpa) == page_of(last))


def goes_by_the_vcpu(request: Any) -> bool:
    """Guest code makes the access: it goes by the virtual CPU's cache, else by the set's."""
    return isinstance(request, VcpuRead | VcpuWrite)


# CLAIMS ----------------------------------------------------------------------------------------------------------


def square_by_the_cache(
    kind: str, start: Start, request: Any, cached: SlotCopy, is_cached: Any, cached_in: int, **rest: Any
) -> Any:
    """The commuting square, by way of whatever is in the cache. Arrays have theirs inside (`ARRAY.SEARCH`)."""
    if kind == "tree":
        found = cached if is_cached else None
        is_vcpu = goes_by_the_vcpu(request)
        start = replace(start, vcpu=VcpuCache(found, cached_in)) if is_vcpu else replace(start, last_used=found)
    return square(kind, start, request, **rest)


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def reads_and_leaves(self: Machine, request: Any) -> Outcome:
    answer = GET(self, request)
    if isinstance(answer, DirtyPages):
        copy = self._named(request.slot)
        assert copy is not None
        self.memory.bitmaps[copy.bitmap] = answer.pages
    return answer


def clears_all(self: Machine, request: Any) -> Outcome:
    answer = CLEAR(self, request)
    if isinstance(answer, Done):
        copy = self._named(request.slot)
        assert copy is not None
        self.memory.bitmaps[copy.bitmap] = NO_PAGES
    return answer


def marks_the_guest_page(self: Machine, copy: SlotCopy, gfn: int) -> None:
    if copy.bitmap != NO_BITMAP and self.settings.dirty_ring == 0:
        self.memory.bitmaps[copy.bitmap] = self.memory.bitmaps[copy.bitmap].with_page(gfn)


def settings_are_forgotten(self: Machine, request: Any) -> Outcome:
    before = self.settings
    answer = AT_ONCE(self, request)
    self.settings = before
    return answer


def host_of_the_slot(copy: SlotCopy, gpa: int) -> int:
    return copy.hva


def named_anywhere(self: Machine, slot_word: int) -> SlotCopy | None:
    return NAMED(self, slot_word % 2**16)


GET, CLEAR, AT_ONCE, NAMED = Machine._get_dirty_log, Machine._clear_dirty_log, Machine._at_once, Machine._named
GUEST_PAGE = Bug("the log counts guest pages", (Patch(Machine, "_mark_dirty", marks_the_guest_page),))
FORGOTTEN = Bug("the machine forgets what was set", (Patch(Machine, "_at_once", settings_are_forgotten),))
FIRST_BYTE = Bug("an access always reaches the slot's first byte", (Patch(machine, "host_of", host_of_the_slot),))
ANY_SPACE = Bug("a slot is looked for in address space 0", (Patch(Machine, "_named", named_anywhere),))

GIVEN = {"guest_write": stays_within_a_page}

# THEOREMS --------------------------------------------------------------------------------------------------------

AROUND_THE_STEP = "what machines do around the specification's own step: they have no other code for these operations"


def settings_are_kept(operation: str) -> Theorem:
    """No refinement: the model's own step is the specification's."""
    return Theorem(
        f"KEEPS.{operation.upper()}",
        f"For `{operation}` a machine has no code of its own and takes the specification's step on its settings: it "
        "keeps what comes of that, answers what it answers, and touches no slot and no bitmap.",
        RULES[operation],
        (operation,),
        "keeps what the spec says",
        any_request(operation),
        is_idle,
        partial(square, "tree"),
        FORGOTTEN,
        AROUND_THE_STEP,
    )


def about(
    name: str,
    operation: str,
    sentence: str,
    bug: Bug,
    kind: str = "tree",
    by_cache: bool = False,
    rules: tuple[str, ...] = (),
    bound: str = UNBOUNDED,
) -> Theorem:
    return Theorem(
        f"REFINES.{name}",
        sentence,
        rules or RULES[operation],
        (operation,),
        "refines the spec",
        any_cache(operation) if by_cache else any_request(operation),
        GIVEN.get(operation, has_right_cache) if by_cache else is_idle,
        partial(square_by_the_cache if by_cache else square, kind),
        bug,
        bound,
    )


def for_both(operation: str, sentence: str, bug: Bug, bound: str = UNBOUNDED) -> tuple[Theorem, ...]:
    return tuple(
        about(
            f"{operation.upper()}.{kind.upper()}",
            operation,
            sentence.format(kind=kind),
            bug,
            kind,
            by_cache=True,
            rules=ACCESS_RULES,
            bound=bound,
        )
        for kind in ("tree", "array")
    )


THEOREMS = (
    about(
        "GET_DIRTY_LOG",
        "get_dirty_log",
        "Reading a log: a machine answers, rejects and changes its bitmaps as the specification does its logs.",
        Bug("reading leaves the log as it is", (Patch(Machine, "_get_dirty_log", reads_and_leaves),)),
    ),
    about(
        "CLEAR_DIRTY_LOG",
        "clear_dirty_log",
        "Clearing a log: a machine answers, rejects and changes its bitmaps as the specification does its logs.",
        Bug("clearing empties the log", (Patch(Machine, "_clear_dirty_log", clears_all),)),
    ),
    *(settings_are_kept(name) for name in ("enable_manual_protect", "enable_dirty_ring", "create_guest_memfd")),
    *for_both(
        "guest_write",
        "A write by the kernel: the {kind} machine reaches the bytes that the specification reaches, stops where it "
        "stops, and marks the same pages.",
        GUEST_PAGE,
        ONE_PAGE,
    ),
    *for_both(
        "vcpu_read",
        "A virtual CPU's read: the {kind} machine reaches the byte that the specification reaches, or none, whatever "
        "a cache holds.",
        FIRST_BYTE,
    ),
    *for_both(
        "vcpu_write",
        "A virtual CPU's write: the {kind} machine reaches the byte that the specification reaches, or none, and marks "
        "the same page, whatever a cache holds.",
        GUEST_PAGE,
    ),
    *for_both(
        "lookup",
        "A lookup in any address space: the {kind} machine finds the byte that the specification finds, or rejects by "
        "the same rule.",
        FIRST_BYTE,
    ),
    about(
        "FIND_SLOT",
        "find_slot",
        "A search by number: a machine finds the slot that the specification finds, with its log, or rejects.",
        ANY_SPACE,
    ),
)
