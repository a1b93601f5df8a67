"""The fuzzer's operations on tables and devices, done on the spec."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from conformance.targets.c.fuzz_replay import Leave, Told, expect
from spec.outcome import EntryView, Faulted, MapsView, MissRead, Outcome, Rejected, Translated
from spec.profile import Profile
from spec.sets import count, least, removed
from spec.step import step
from spec.vhost.address_map import EMPTY_MAP, AddressMap, search_rank, with_entry, with_room, without_range
from spec.vhost.device import NEW_DEVICE
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import Region, SetMemTable
from spec.vhost.messages import ReadMessage, WriteMessage
from spec.vhost.observe import ObserveMaps, view
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.regions import AddRegion, RemoveRange, RemoveRegion
from spec.vhost.translate import IN_IOTLB, MOST_SEGMENTS, Translate, translation

REFUSE, LRU = 0, 2
EINVAL, ENOSPC, ENOENT = "EINVAL", "ENOSPC", "ENOENT"


def entries_of(told: Told, *names: str) -> tuple[EntryView, ...]:
    return tuple(EntryView(**fields) for fields in told.all_of(*names))


def same_translation(told: Told, outcome: Outcome, miss: str) -> None:
    """`miss` is the error for a byte that nothing maps."""
    segments = [(one["first"], one["last"], one["host"]) for one in told.all_of("segment")]
    (reach,) = told.all_of("reach")
    if isinstance(outcome, Translated):
        expect(told, "error", None, told.error)
        expect(told, "segments", [(one.first, one.last, one.host) for one in outcome.segments], segments)
        return
    assert isinstance(outcome, Faulted)
    expect(told, "error", miss if outcome.rule is IN_IOTLB else outcome.rule.errno, told.error)
    expect(told, "where it stopped", outcome.at, told.fields["addr"] + reach["bytes"])


class Table:
    """An address map of the spec that follows the fuzzer's table."""

    def __init__(self, fields: dict[str, int]) -> None:
        self.limit = fields["limit"]
        self.refuses = fields["retirement"] == REFUSE
        retirement = "lru" if fields["retirement"] == LRU else "fifo"
        self.profile = Profile(iotlb_limit=self.limit, retirement=retirement)
        self.table: AddressMap = EMPTY_MAP

    def do(self, told: Told) -> None:
        if told.name in ("add", "remove", "remove_range", "replace"):
            getattr(self, told.name)(told)
        elif told.name == "translate":
            self.translate(told)
        elif told.name == "end":
            expect(told, "entries", view(self.table), entries_of(told, "entry"))

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
        expect(told, "error", error, told.error)
        if error is None:
            self.table = replace(self.table, entries=frozenset())
            for one in entries:
                self.table = with_entry(self.table, **one)

    def translate(self, told: Told) -> None:
        fields = told.fields
        if fields["access"] not in (1, 2):
            expect(told, "error", EINVAL, told.error)
            return
        device = replace(NEW_DEVICE, iotlb=self.table)
        device, outcome = translation(
            self.profile, device, fields["addr"], fields["length"], fields["access"], fields["room"]
        )
        assert device.iotlb is not None
        self.table = device.iotlb
        same_translation(told, outcome, "EFAULT")


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

    def do(self, told: Told) -> None:
        if told.name in ("observe", "end"):
            self.observe(told)
            return
        request = self.request(told)
        if request is None:
            return
        self.device, outcome = step(self.profile, self.device, request)
        if isinstance(request, Translate):
            same_translation(told, outcome, "EAGAIN")
            return
        expect(told, "error", outcome.rule.errno if isinstance(outcome, Rejected) else None, told.error)
        if isinstance(outcome, MissRead):
            (message,) = told.all_of("message")
            seen = (message["framing"], message["iova"], message["perm"])
            expect(told, "miss", (outcome.version, outcome.iova, outcome.access), seen)

    def request(self, told: Told) -> Any:
        fields, owner = told.fields, "stranger" not in told.manners
        readable = "unreadable" not in told.manners
        if told.name == "set_owner":
            if not owner:
                raise Leave
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
        if told.name == "device_translate" and told.error != EINVAL:
            fields = {**fields, "room": min(fields["room"], MOST_SEGMENTS)}
            return Translate(**fields)
        return None

    def observe(self, told: Told) -> None:
        _, maps = step(self.profile, self.device, ObserveMaps())
        assert isinstance(maps, MapsView)
        expect(told, "table", maps.table or (), entries_of(told, "table"))
        expect(told, "iotlb", maps.iotlb or (), entries_of(told, "iotlb"))
        misses = [(one["queue"], one["iova"], one["access"], one["framing"]) for one in told.all_of("miss")]
        waiting = (*self.device.unread, *self.device.pending)
        expect(told, "misses", [(one.queue, one.iova, one.access, one.version) for one in waiting], misses)


MESSAGE_FIELDS = ("framing", "iova", "size", "uaddr", "perm", "kind", "length")
