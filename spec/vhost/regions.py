"""Adding and removing regions of a memory table one by one, and removing all regions in a range.

Linux has no call for this; its table is an interval tree so that one can be added. vhost-user standardised the shape
(ADD_MEM_REG, REM_MEM_REG): a back-end, or a library, that has it is judged by these rules.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from spec.operation import Operation
from spec.outcome import Done
from spec.profile import Profile
from spec.rule import Check, Rule
from spec.sets import count, least, removed
from spec.vhost.access import is_active, table_is_loggable, table_is_user_memory
from spec.vhost.address_map import EMPTY_MAP, AddressMap, Entry, search_rank, without_range
from spec.vhost.call import OWNER_CHECK, OwnerCall
from spec.vhost.device import Device
from spec.vhost.mem_table import EMPTY, HOST, LOG, WRAPS, Region, region_is_empty, region_wraps, with_region

# REQUEST ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AddRegion(OwnerCall):
    """One more region, the last of the table."""

    gpa: int = 0
    size: int = 0
    hva: int = 0


@dataclass(frozen=True)
class RemoveRegion(OwnerCall):
    """Take out the region with exactly these three values; of several the one that was added first."""

    gpa: int = 0
    size: int = 0
    hva: int = 0


@dataclass(frozen=True)
class RemoveRange(OwnerCall):
    """Take out every region that has a byte in first..last."""

    first: int = 0
    last: int = 0


# RULES -----------------------------------------------------------------------------------------------------------

ROOM = Rule(
    id="VHOST.REGION.ROOM",
    sentence="A region can be added only while the table has fewer than it may have.",
    errno="ENOSPC",
    source="vhost-user specification, VHOST_USER_GET_MAX_MEM_SLOTS",
)
THERE = Rule(
    id="VHOST.REGION.THERE",
    sentence="Only a region that is in the table, with these values, can be taken out.",
    errno="ENOENT",
    source="vhost-user specification, VHOST_USER_REM_MEM_REG",
)
ORDERED = Rule(
    id="VHOST.REGION.ORDERED",
    sentence="A range ends at or after the byte where it begins.",
    errno="EINVAL",
    source="this specification's demand; drivers/vhost/iotlb.c vhost_iotlb_del_range does not say",
)


def region_of(request: AddRegion | RemoveRegion) -> Region:
    return Region(request.gpa, request.size, request.hva)


def table_now(device: Device) -> AddressMap:
    """The device's table; a device that was never given one has an empty one."""
    return EMPTY_MAP if device.table is None else device.table


def table_with(device: Device, request: AddRegion) -> AddressMap:
    """The table as it would be with the region, if that is a range."""
    region = region_of(request)
    if region_is_empty(region) or region_wraps(region):
        return table_now(device)
    return with_region(table_now(device), region)


def entry_of(device: Device, request: RemoveRegion) -> Entry | None:
    """The entry that has these three values, or None."""
    found: Entry | None = least(
        table_now(device).entries,
        lambda entry: (
            entry.first == request.gpa and entry.last == request.gpa + request.size - 1 and entry.host == request.hva
        ),
        search_rank,
    )
    return found


def is_empty(profile: Profile, device: Device, request: AddRegion) -> bool:
    return region_is_empty(region_of(request))


def wraps(profile: Profile, device: Device, request: AddRegion) -> bool:
    return region_wraps(region_of(request))


def has_no_room(profile: Profile, device: Device, request: AddRegion) -> bool:
    held = count(table_now(device).entries)
    return bool(held >= profile.max_regions or held >= profile.iotlb_limit)


def maps_foreign_memory(profile: Profile, device: Device, request: AddRegion) -> bool:
    return is_active(device) and not table_is_user_memory(profile, table_with(device, request))


def maps_more_than_is_logged(profile: Profile, device: Device, request: AddRegion) -> bool:
    if not is_active(device) or not device.logs_all():
        return False
    return not table_is_loggable(profile, table_with(device, request), device.log_base)


def is_not_there(profile: Profile, device: Device, request: RemoveRegion) -> bool:
    return entry_of(device, request) is None


def is_reversed(profile: Profile, device: Device, request: RemoveRange) -> bool:
    return request.last < request.first


ADD_CHECKS = (
    OWNER_CHECK,
    Check(EMPTY, is_empty),
    Check(WRAPS, wraps),
    Check(ROOM, has_no_room),
    Check(HOST, maps_foreign_memory),
    Check(LOG, maps_more_than_is_logged),
)
REMOVE_CHECKS = (OWNER_CHECK, Check(THERE, is_not_there))
RANGE_CHECKS = (OWNER_CHECK, Check(ORDERED, is_reversed))

# EFFECT ----------------------------------------------------------------------------------------------------------


def add(profile: Profile, device: Device, request: AddRegion) -> tuple[Device, Done]:
    return replace(device, table=table_with(device, request)), Done()


def remove(profile: Profile, device: Device, request: RemoveRegion) -> tuple[Device, Done]:
    table = table_now(device)
    entry = entry_of(device, request)
    return replace(device, table=replace(table, entries=removed(table.entries, entry))), Done()


def remove_range(profile: Profile, device: Device, request: RemoveRange) -> tuple[Device, Done]:
    """Regions go as a whole: one that only begins in the range leaves nothing behind."""
    if device.table is None:
        return device, Done()
    return replace(device, table=without_range(device.table, request.first, request.last)), Done()


ADD_REGION = Operation("add_region", AddRegion, ADD_CHECKS, add, changes_state=True)
REMOVE_REGION = Operation("remove_region", RemoveRegion, REMOVE_CHECKS, remove, changes_state=True)
REMOVE_RANGE = Operation("remove_range", RemoveRange, RANGE_CHECKS, remove_range, changes_state=True)
