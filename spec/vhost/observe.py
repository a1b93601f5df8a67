"""All entries of a device's maps, for targets that can show them. Userspace cannot ask a kernel for them."""

from __future__ import annotations

from dataclasses import dataclass

from spec.operation import Operation
from spec.outcome import EntryView, MapsView
from spec.profile import Profile
from spec.vhost.address_map import AddressMap, search_rank
from spec.vhost.device import Device

# REQUEST ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ObserveMaps:
    """The memory table and the IOTLB."""


# RULES: none. --------------------------------------------------------------------------------------------------------

# EFFECT ----------------------------------------------------------------------------------------------------------


def view(table: AddressMap | None) -> tuple[EntryView, ...] | None:
    """A map's entries, in the order in which a lookup prefers them."""
    if table is None:
        return None
    return tuple(
        EntryView(entry.first, entry.last, entry.host, entry.perm) for entry in sorted(table.entries, key=search_rank)
    )


def observe_maps(profile: Profile, device: Device, request: ObserveMaps) -> tuple[Device, MapsView]:
    return device, MapsView(view(device.table), view(device.iotlb))


OBSERVE_MAPS = Operation("observe_maps", ObserveMaps, (), observe_maps, changes_state=False)
