"""A set that the array model can copy: sets are values here, so a copy is the set itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spec.sets import added, every, only, removed, some


@dataclass(frozen=True)
class Copyable:
    """A set of any kind, with the question `copied` that `model.memslots.array` asks besides those of `spec.sets`."""

    members: Any

    def copied(self) -> Copyable:
        return self

    def every(self, holds: Callable[[Any], Any]) -> Any:
        return every(self.members, holds)

    def some(self, holds: Callable[[Any], Any]) -> Any:
        return some(self.members, holds)

    def only(self, holds: Callable[[Any], Any]) -> Any:
        return only(self.members, holds)

    def added(self, member: Any) -> Copyable:
        return Copyable(added(self.members, member))

    def removed(self, member: Any) -> Copyable:
        return Copyable(removed(self.members, member))
