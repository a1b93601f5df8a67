"""VHOST_SET_MEM_TABLE: which guest memory the device may reach, all of it at once.

The new table takes the place of the old one only when everything about it is right. Regions need not be aligned and may
overlap; then the one that starts first counts, and of those that start together the one that was listed first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from spec.operation import Operation
from spec.outcome import Done
from spec.profile import Profile
from spec.rule import Check, Rule
from spec.units import U64
from spec.vhost.access import is_active, table_is_loggable, table_is_user_memory
from spec.vhost.address_map import EMPTY_MAP, READ, WRITE, AddressMap, with_entry
from spec.vhost.call import OWNER_CHECK, POINTER_CHECK, DeviceCall
from spec.vhost.device import Device

# REQUEST ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Region:
    """Guest bytes gpa .. gpa + size - 1 live at host bytes hva, hva + 1, …"""

    gpa: int
    size: int
    hva: int


@dataclass(frozen=True)
class SetMemTable(DeviceCall):
    """Replace the memory table. `padding` is the header's second word; `regions_readable` is False when the memory that
    should hold the regions leads nowhere, though the header before it does not.
    """

    regions: tuple[Region, ...] = ()
    padding: int = 0
    regions_readable: bool = True


# RULES -----------------------------------------------------------------------------------------------------------

PADDING = Rule(
    id="VHOST.TABLE.PADDING",
    sentence="The header's second word must be 0.",
    errno="EOPNOTSUPP",
    source="drivers/vhost/vhost.c vhost_set_memory",
)
COUNT = Rule(
    id="VHOST.TABLE.COUNT",
    sentence="A table has at most as many regions as the host's administrator allows.",
    errno="E2BIG",
    source="drivers/vhost/vhost.c vhost_set_memory (max_mem_regions)",
)
REGIONS_POINTER = Rule(
    id="VHOST.TABLE.POINTER",
    sentence="The regions must be readable memory of the caller.",
    errno="EFAULT",
    source="drivers/vhost/vhost.c vhost_set_memory",
)
FITS = Rule(
    id="VHOST.TABLE.FITS",
    sentence="A table that has more regions than can be held is refused; no region is given up for another.",
    errno="E2BIG",
    source="this specification's demand; drivers/vhost/vhost.c iotlb_alloc lets a table give up its first regions",
)
EMPTY = Rule(
    id="VHOST.TABLE.EMPTY",
    sentence="A region has at least one byte.",
    errno="EFAULT",
    source="drivers/vhost/iotlb.c vhost_iotlb_add_range_ctx; kernels take an empty region at 0 for the whole space",
)
WRAPS = Rule(
    id="VHOST.TABLE.WRAPS",
    sentence="A region ends at or before the last guest address.",
    errno="EFAULT",
    source="drivers/vhost/iotlb.c vhost_iotlb_add_range_ctx",
)
HOST = Rule(
    id="VHOST.TABLE.HOST",
    sentence="While a backend is attached, all that the table maps must be user memory.",
    errno="EFAULT",
    source="drivers/vhost/vhost.c memory_access_ok, vq_memory_access_ok",
)
LOG = Rule(
    id="VHOST.TABLE.LOG",
    sentence="While a backend is attached and writes are logged, the log must have room for all that the table maps.",
    errno="EFAULT",
    source="drivers/vhost/vhost.c vq_memory_access_ok, log_access_ok",
)


def region_is_empty(region: Region) -> bool:
    """Whether a region names no byte."""
    return region.size == 0


def region_wraps(region: Region) -> bool:
    """Whether a region goes on past the last guest address."""
    return region.gpa + region.size > U64


def table_of(regions: tuple[Region, ...]) -> AddressMap:
    """The memory table of these regions, in this order. Regions that are no ranges are left out."""
    table = EMPTY_MAP
    for region in regions:
        if not region_is_empty(region) and not region_wraps(region):
            table = with_region(table, region)
    return table


def with_region(table: AddressMap, region: Region) -> AddressMap:
    """The table with one more region. A device may read and write all of its guest's memory."""
    return with_entry(table, region.gpa, region.gpa + region.size - 1, region.hva, READ + WRITE)


def has_padding(profile: Profile, device: Device, request: SetMemTable) -> bool:
    return request.padding != 0


def has_too_many(profile: Profile, device: Device, request: SetMemTable) -> bool:
    return len(request.regions) > profile.max_regions


def regions_cannot_be_read(profile: Profile, device: Device, request: SetMemTable) -> bool:
    return not request.regions_readable and len(request.regions) > 0


def has_more_than_can_be_held(profile: Profile, device: Device, request: SetMemTable) -> bool:
    return len(request.regions) > profile.iotlb_limit


def has_an_empty_region(profile: Profile, device: Device, request: SetMemTable) -> bool:
    return any(region_is_empty(region) for region in request.regions)


def has_a_region_that_wraps(profile: Profile, device: Device, request: SetMemTable) -> bool:
    return any(region_wraps(region) for region in request.regions)


def maps_foreign_memory(profile: Profile, device: Device, request: SetMemTable) -> bool:
    return is_active(device) and not table_is_user_memory(profile, table_of(request.regions))


def maps_more_than_is_logged(profile: Profile, device: Device, request: SetMemTable) -> bool:
    if not is_active(device) or not device.logs_all():
        return False
    return not table_is_loggable(profile, table_of(request.regions), device.log_base)


CHECKS = (
    OWNER_CHECK,
    POINTER_CHECK,
    Check(PADDING, has_padding),
    Check(COUNT, has_too_many),
    Check(REGIONS_POINTER, regions_cannot_be_read),
    Check(FITS, has_more_than_can_be_held),
    Check(EMPTY, has_an_empty_region),
    Check(WRAPS, has_a_region_that_wraps),
    Check(HOST, maps_foreign_memory),
    Check(LOG, maps_more_than_is_logged),
)

# EFFECT ----------------------------------------------------------------------------------------------------------


def effect(profile: Profile, device: Device, request: SetMemTable) -> tuple[Device, Done]:
    """The table is replaced as a whole; one without regions maps nothing."""
    return replace(device, table=table_of(request.regions)), Done()


SET_MEM_TABLE = Operation("set_mem_table", SetMemTable, CHECKS, effect, changes_state=True)
