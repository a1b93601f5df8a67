"""Memory as the writer of libgpamap leaves it, event by event.

Readers write nothing that the writer reads but their own `inside`. So what the writer does to everything else is one
list of events, whatever readers do; they only decide how long it waits between two of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from types import MappingProxyType
from typing import Any, Literal, TypeVar, cast

Ref = int  # an address; 0 is NULL
Kind = Literal["take", "write", "free", "publish", "look", "wait", "return"]


@dataclass(frozen=True)
class Event:
    """One thing that the writer does to shared memory, in this function of the C library.

    `ref` is what is taken, written or freed; the side that is published; the number of the reader that is waited for
    (`look`: the load before the loop of wait_for, `wait`: the load that ends it). `memory` is all there is afterwards.
    """

    function: str
    kind: Kind
    ref: Ref
    memory: Mapping[Ref, Any]


class OutOfMemory(Exception):
    """An allocation failed."""


class Heap:
    """Objects by address, and the list of events. Values are immutable; addresses are never used twice."""

    def __init__(self) -> None:
        self.objects: dict[Ref, Any] = {}
        self.events: list[Event] = []
        self.functions: list[str] = []  # that are running now
        self.taken = 0
        self.fail_at: int | None = None  # the number of the allocation that fails, from 1 on

    def note(self, kind: Kind, ref: Ref) -> None:
        self.events.append(Event(self.functions[-1], kind, ref, MappingProxyType(dict(self.objects))))

    def take(self, value: Any) -> Ref:
        """Raises OutOfMemory."""
        self.taken += 1
        if self.taken == self.fail_at:
            raise OutOfMemory
        self.objects[self.taken] = value
        self.note("take", self.taken)
        return self.taken

    def write(self, ref: Ref, value: Any) -> None:
        assert ref in self.objects, "the writer writes what is not there"
        if self.objects[ref] != value:
            self.objects[ref] = value
            self.note("write", ref)

    def free(self, ref: Ref) -> None:
        assert ref in self.objects, "the writer frees what is not there"
        del self.objects[ref]
        self.note("free", ref)


class Part:
    """Something that works on a heap."""

    def __init__(self, heap: Heap) -> None:
        self.heap = heap


M = TypeVar("M", bound=Callable[..., Any])
C_FUNCTIONS: set[str] = set()  # the names of all that are modelled


def c_function(method: M) -> M:
    """This method of a Part stands for the C function of its name: its events carry that."""
    C_FUNCTIONS.add(method.__name__)

    @wraps(method)
    def called(self: Part, *args: Any) -> Any:
        self.heap.functions.append(method.__name__)
        try:
            return method(self, *args)
        finally:
            self.heap.functions.pop()

    return cast(M, called)
