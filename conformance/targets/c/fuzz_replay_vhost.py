"""The fuzzer's operations on tables and devices, done on the spec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conformance.targets.c.fuzz_replay import Told, Unreadable, expect
from spec.outcome import (
    EntryView,
    Faulted,
    MapsView,
    MessageTaken,
    MissRead,
    NothingRead,
    Outcome,
    Rejected,
    Translated,
)
from spec.profile import Profile
from spec.sets import count, least, removed
from spec.step import step
from spec.vhost.address_map import (
    EMPTY_MAP,
    AddressMap,
    entry_at,
    may,
    search_rank,
    with_entry,
    with_room,
    without_range,
)
from spec.vhost.device import NEW_DEVICE
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import MESSAGE_BYTES, UPDATE, ReadMessage, WriteMessage, answered
from spec.vhost.observe import ObserveMaps, view
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.regions import AddRegion, RemoveRange, RemoveRegion
from spec.vhost.translate import IN_IOTLB, Translate, translation

REFUSE, LRU = 0, 2
EINVAL, ENOSPC, ENOENT = "EINVAL", "ENOSPC", "ENOENT"


def entries_of(told: Told, *names: str) -> tuple[EntryView, ...]:
    return tuple(EntryView(**fields) for fields in told.all_of(*names))


def same_translation(told: Told, profile: Profile, before: Any, outcome: Outcome, miss: str) -> None:
    """`before` is the device of the spec that was asked, `miss` the error for a byte that nothing maps."""
    fields = told.fields
    (reach,) = told.all_of("reach")
    if isinstance(outcome, Faulted):
        expect(told, "error", miss if outcome.rule is IN_IOTLB else outcome.rule.errno, told.error)
        expect(told, "where it stopped", outcome.at, fields["addr"] + reach["bytes"])
        # The spec gives no segments then. They are those of the bytes that could be had.
        length = outcome.at - fields["addr"]
        _, outcome = translation(profile, before, fields["addr"], length, fields["access"], fields["room"])
    else:
        expect(told, "error", None, told.error)
        expect(told, "bytes", fields["length"], reach["bytes"])
    assert isinstance(outcome, Translated)
    segments = [{"first": one.first, "last": one.last, "host": one.host} for one in outcome.segments]
    expect(told, "segments", segments, told.all_of("segment"))
    expect(told, "number of segments", len(segments), reach["segments"])


class Table:
    """An address map of the spec that follows the fuzzer's table.

    The spec has no transactions. Changes are made to `table`; while there is one everybody sees `before`.
    """

    def __init__(self, fields: dict[str, int]) -> None:
        self.limit = fields["limit"]
        self.refuses = fields["retirement"] == REFUSE
        retirement = "lru" if fields["retirement"] == LRU else "fifo"
        self.profile = Profile(iotlb_limit=self.limit, retirement=retirement)
        self.table: AddressMap = EMPTY_MAP
        self.before: AddressMap | None = None
        self.handlers: dict[str, Callable[[Told], None]] = {
            "add": self.add,
            "remove": self.remove,
            "remove_range": self.remove_range,
            "replace": self.replace,
            "translate": self.translate,
            "segments": self.segments,
            "table_lookup": self.lookup,
            "entries": self.entries,
            "end": self.entries,
            "range": self.range,
            "begin": self.begin,
            "commit": self.commit,
            "abort": self.abort,
            "inside": lambda told: None,  # what the reader sees is told in the lines that follow
        }

    def do(self, told: Told) -> None:
        if told.name not in self.handlers:
            raise Unreadable(f"{told.name} is no operation on a table")
        self.handlers[told.name](told)

    @property
    def seen(self) -> AddressMap:
        return self.table if self.before is None else self.before

    def begin(self, told: Told) -> None:
        expect(told, "error", None if self.before is None else "EBUSY", told.error)
        self.before = self.seen

    def commit(self, told: Told) -> None:
        expect(told, "error", EINVAL if self.before is None else None, told.error)
        self.before = None

    def abort(self, told: Told) -> None:
        expect(told, "error", EINVAL if self.before is None else None, told.error)
        self.table, self.before = self.seen, None

    def wrong(self, fields: dict[str, int]) -> bool:
        return fields["last"] < fields["first"] or fields["perm"] > 3

    def add(self, told: Told) -> None:
        if self.wrong(told.fields):
            expect(told, "error", EINVAL, told.error)
        elif self.refuses and count(self.table.entries) >= self.limit:
            expect(told, "error", ENOSPC, told.error)
        else:
            expect(told, "error", None, told.error)
            self.table = with_entry(with_room(self.profile, self.table), **told.fields)

    def remove(self, told: Told) -> None:
        wanted = (told.fields["first"], told.fields["last"], told.fields["host"])
        found = least(self.table.entries, lambda one: (one.first, one.last, one.host) == wanted, search_rank)
        expect(told, "error", ENOENT if found is None else None, told.error)
        if found is not None:
            self.table = replace(self.table, entries=removed(self.table.entries, found))

    def remove_range(self, told: Told) -> None:
        first, last = told.fields["first"], told.fields["last"]
        expect(told, "error", EINVAL if last < first else None, told.error)
        if first <= last:
            self.table = without_range(self.table, first, last)

    def replace(self, told: Told) -> None:
        entries = told.all_of("with")
        error = EINVAL if any(self.wrong(one) for one in entries) else ENOSPC if len(entries) > self.limit else None
        if error is None and self.before is not None:
            error = "EBUSY"
        expect(told, "error", error, told.error)
        if error is None:
            self.table = replace(self.table, entries=frozenset())
            for one in entries:
                self.table = with_entry(self.table, **one)

    def entries(self, told: Told) -> None:
        entries = view(self.seen) or ()
        expect(told, "entries", entries[: told.fields.get("room", len(entries))], entries_of(told, "entry"))

    def range(self, told: Told) -> None:
        first, last = told.fields["first"], told.fields["last"]
        entries = [one for one in view(self.seen) or () if first <= last and one.first <= last and first <= one.last]
        expect(told, "entries", tuple(entries[: told.fields["room"]]), entries_of(told, "entry"))

    def lookup(self, told: Told) -> None:
        """The rest of the entry that the byte is translated by."""
        addr, access = told.fields["addr"], told.fields["access"]
        if access not in (1, 2):
            expect(told, "error", EINVAL, told.error)
            return
        entry = entry_at(self.seen, addr)
        error = "EFAULT" if entry is None else "EPERM" if not may(entry.perm, access) else None
        expect(told, "error", error, told.error)
        if entry is not None and error is None:
            found = {"first": addr, "last": entry.last, "host": entry.host_of(addr)}
            expect(told, "found, and found again", [found, found], told.all_of("segment"))

    def segments(self, told: Told) -> None:
        """What a reader looks at does not count as used."""
        self.translated(told)

    def translate(self, told: Told) -> None:
        after = self.translated(told)
        if self.before is None:
            self.table = after

    def translated(self, told: Told) -> AddressMap:
        """The table after its entries were used."""
        fields = told.fields
        if fields["access"] not in (1, 2):
            expect(told, "error", EINVAL, told.error)
            return self.seen
        device = replace(NEW_DEVICE, iotlb=self.seen)
        after, outcome = translation(
            self.profile, device, fields["addr"], fields["length"], fields["access"], fields["room"]
        )
        assert after.iotlb is not None
        same_translation(told, self.profile, device, outcome, "EFAULT")
        return after.iotlb


class Device:
    """A device of the spec that follows the fuzzer's."""

    def __init__(self, fields: dict[str, int]) -> None:
        self.profile = Profile(
            max_regions=fields["max_regions"],
            iotlb_limit=fields["iotlb_limit"],
            user_limit=fields["user_limit"],
            features=fields["features"],
            retirement="lru" if fields["retirement"] == LRU else "fifo",
            iotlb_mode="follows" if fields["iotlb_follows"] else "stays",
        )
        self.device: Any = NEW_DEVICE
        self.is_strangers = False  # the stranger has taken it

    def do(self, told: Told) -> None:
        if told.name in ("observe", "end"):
            self.observe(told)
            return
        if told.name == "device_translate" and (told.fields["queue"] > 1 or told.fields["access"] not in (1, 2)):
            expect(told, "error", EINVAL, told.error)
            return
        request = self.request(told)
        before = self.device
        self.device, outcome = step(self.profile, self.device, request)
        if isinstance(request, SetOwner) and not isinstance(outcome, Rejected):
            self.is_strangers = "stranger" in told.manners
        if isinstance(request, Translate):
            same_translation(told, self.profile, before, outcome, "EAGAIN")
            return
        expect(told, "error", outcome.rule.errno if isinstance(outcome, Rejected) else None, told.error)
        if isinstance(outcome, MissRead):
            (message,) = told.all_of("message")
            seen = (message["framing"], message["iova"], message["perm"])
            expect(told, "miss", (outcome.version, outcome.iova, outcome.access), seen)
            expect(told, "bytes", MESSAGE_BYTES, told.answer)
        elif isinstance(outcome, NothingRead):
            expect(told, "bytes", 0, told.answer)
        elif isinstance(outcome, MessageTaken):
            expect(told, "bytes", outcome.length, told.answer)
            woken = answered(before.pending, request)[1] if request.kind == UPDATE else ()
            if "no_buffer" not in told.manners:
                expect(told, "woken", woken, tuple(one["queue"] for one in told.all_of("woken")))

    def request(self, told: Told) -> Any:
        """The request of the spec. Raises Unreadable."""
        fields, owner = told.fields, ("stranger" in told.manners) == self.is_strangers
        readable = "unreadable" not in told.manners
        if told.name == "set_owner":
            return SetOwner()
        if told.name == "reset_owner":
            return ResetOwner(from_owner=owner)
        if told.name == "set_features":
            return SetFeatures(features=fields["word"], readable=readable)
        if told.name == "set_backend_features":
            return SetBackendFeatures(features=fields["word"], readable=readable)
        if told.name == "set_mem_table":
            regions = tuple(Region(**one) for one in told.all_of("with"))
            return SetMemTable(
                regions=regions,
                padding=fields["padding"],
                regions_readable="no_buffer" not in told.manners,
                from_owner=owner,
                readable=readable,
            )
        if told.name == "add_region":
            return AddRegion(from_owner=owner, **fields)
        if told.name == "remove_region":
            return RemoveRegion(from_owner=owner, **fields)
        if told.name == "device_remove_range":
            return RemoveRange(from_owner=owner, **fields)
        if told.name == "write":
            return WriteMessage(asid=fields["space"], **{name: fields[name] for name in MESSAGE_FIELDS})
        if told.name == "read":
            return ReadMessage(length=fields["length"])
        if told.name == "device_translate":
            return Translate(**fields)
        raise Unreadable(f"{told.name} is no operation on a device")

    def observe(self, told: Told) -> None:
        _, maps = step(self.profile, self.device, ObserveMaps())
        assert isinstance(maps, MapsView)
        expect(told, "table", maps.table or (), entries_of(told, "table"))
        expect(told, "iotlb", maps.iotlb or (), entries_of(told, "iotlb"))
        misses = [
            {"queue": one.queue, "access": one.access, "iova": one.iova, "framing": one.version, "read": read}
            for read, waiting in enumerate((self.device.unread, self.device.pending))
            for one in waiting
        ]
        expect(told, "misses", misses, told.all_of("miss"))


MESSAGE_FIELDS = ("framing", "iova", "size", "uaddr", "perm", "kind", "length")
