"""Where the inputs of a theorem come from: all of them at once, or few enough to be written down.

A theorem is proved in the `AnyWorld`, whose sets have any size. Its witness and the counterexample to its planted bug
are looked for in a `FewWorld`, and then run again as plain Python values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import z3

from proofs.symbolic.anyset import AnySet, Universe
from proofs.symbolic.boolean import SymBool, boolean
from proofs.symbolic.fewset import FEW_PAGES, HIGHEST_PAGE, FewSet, few_record
from proofs.symbolic.integer import integer
from proofs.symbolic.pages import SymPages, any_pages, few_pages
from proofs.symbolic.record import SymWord, one_of, optional, record
from proofs.symbolic.sequence import AnySequence, FewSequence
from proofs.symbolic.shape import Shape
from spec.memslots.slot import GuestMemfd, Slot, Vm
from spec.profile import SWITCHES, Profile
from spec.units import U16_MAX, U32_MAX, U64_MAX, page_of

LAST_PAGE = page_of(U64_MAX)
NEVER_A_FILE = -3  # the least file number that means something (`spec.memslots.slot`)

SLOT_SHAPE = Shape(
    kind=Slot,
    ranges={
        "space": (0, U16_MAX),
        "id": (0, U16_MAX),
        "base_gfn": (0, LAST_PAGE),
        "npages": (0, LAST_PAGE + 1),
        "hva": (0, U64_MAX),
        "flags": (0, U32_MAX),
        "memfd": (NEVER_A_FILE, U32_MAX),
        "memfd_page": (0, LAST_PAGE),
    },
    pages=("dirty",),
)
MEMFD_SHAPE = Shape(kind=GuestMemfd, ranges={"file": (NEVER_A_FILE, U32_MAX), "npages": (0, LAST_PAGE)})


class World:
    """Makes symbolic inputs. The names are those that a model and a counterexample show."""

    def set_of(self, name: str, shape: Shape) -> Any:
        """A set of records of this shape."""
        raise TypeError("use AnyWorld or FewWorld")

    def pages(self, name: str) -> SymPages:
        """A set of pages."""
        raise TypeError("use AnyWorld or FewWorld")

    def integer(self, name: str, low: int, high: int) -> Any:
        """An int of low .. high, both included."""
        return integer(name, low, high)

    def boolean(self, name: str) -> SymBool:
        """A truth value."""
        return boolean(name)

    def candidate(self, members: Any, name: str) -> Any:
        """Something that may be a member of a set or not: what is proved of it is proved of everything."""
        return members.candidate(name)

    def sequence(self, name: str, members: tuple[Any, ...]) -> FewSequence:
        """A tuple of none to all of these members, the first ones."""
        return FewSequence(name, members)

    def long_sequence(self, name: str, members: tuple[Any, ...]) -> Any:
        """A tuple that begins with the first of these, or an empty one. In a proof anything may come behind it."""
        return FewSequence(name, members)

    def record(self, name: str, shape: Shape) -> Any:
        """One record of this shape, of no set."""
        return few_record(name, shape)

    def vm(self) -> Vm:
        """Any VM at all, valid or not."""
        return Vm(
            slots=self.set_of("slot", SLOT_SHAPE),
            manual_protect=self.boolean("vm.manual_protect"),  # type: ignore[arg-type]
            initially_dirty=self.boolean("vm.initially_dirty"),  # type: ignore[arg-type]
            dirty_ring=self.integer("vm.dirty_ring", 0, U32_MAX),
            has_vcpu=self.boolean("vm.has_vcpu"),  # type: ignore[arg-type]
            memfds=self.set_of("memfd", MEMFD_SHAPE),
        )

    def offered(self, name: str) -> Callable[[], Any]:
        """The feature bits that a device offers: any word."""
        word = self.integer(name, 0, U64_MAX)
        return lambda: word

    def profile(self) -> Profile:
        """Any profile: each switch on its own, over its whole range."""
        words = {switch.name: switch.published for switch in SWITCHES}
        values: dict[str, Any] = {
            "user_slots": self.integer("profile.user_slots", 1, 2**15 - 1),
            "address_spaces": self.integer("profile.address_spaces", 1, U16_MAX + 1),
            "user_limit": self.integer("profile.user_limit", 0, 2**63),
            "region2": self.boolean("profile.region2"),
            "guest_memfd": SymWord("profile.guest_memfd", tuple(map(str, words["guest_memfd"]))),
            "memfd_rebind_errno": SymWord("profile.memfd_rebind_errno", tuple(map(str, words["memfd_rebind_errno"]))),
            "dirty_ring": self.boolean("profile.dirty_ring"),
            "smallest_dirty_ring": self.integer("profile.smallest_dirty_ring", 1, U32_MAX),
            "max_regions": self.integer("profile.max_regions", 0, U16_MAX),
            "iotlb_limit": self.integer("profile.iotlb_limit", 1, 2**31 - 1),
            "retirement": SymWord("profile.retirement", tuple(map(str, words["retirement"]))),
            "iotlb_mode": SymWord("profile.iotlb_mode", tuple(map(str, words["iotlb_mode"]))),
        }
        max_gfn = self.integer("profile.max_gfn", 0, LAST_PAGE)
        lazy = {
            "max_gfn": optional(z3.Bool("profile.has_max_gfn"), lambda: max_gfn),
            "features": self.offered("profile.features"),
        }
        made: Profile = record(Profile, values, lazy)
        return made


class AnyWorld(World):
    """All inputs: sets of any size."""

    def set_of(self, name: str, shape: Shape) -> AnySet:
        return AnySet(Universe(name, shape))

    def pages(self, name: str) -> SymPages:
        return any_pages(name)

    def long_sequence(self, name: str, members: tuple[Any, ...]) -> AnySequence:
        return AnySequence(name, members[0])


class FewWorld(World):
    """Inputs whose sets have at most `count` members, and whose sets of pages have at most `most_pages` pages."""

    def __init__(self, count: int, most_pages: int = FEW_PAGES) -> None:
        self.count, self.most_pages = count, most_pages

    def offered(self, name: str) -> Callable[[], Any]:
        """Those that are published: cases need to be worked out bit by bit."""
        words = next(switch.published for switch in SWITCHES if switch.name == "features")
        return one_of(name, tuple(int(word) for word in words if word is not None))

    def set_of(self, name: str, shape: Shape) -> FewSet:
        return FewSet.of(name, shape, self.count, self.most_pages)

    def pages(self, name: str) -> SymPages:
        return few_pages(name, self.most_pages, HIGHEST_PAGE)
