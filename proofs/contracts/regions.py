"""Contracts of regions: what is a range, in a table of regions and one by one; and of features."""

from __future__ import annotations

from spec.profile import Profile
from spec.units import U64_MAX
from spec.vhost.address_map import EMPTY_MAP
from spec.vhost.device import ACCESS_PLATFORM, NEW_DEVICE, Device, Miss
from spec.vhost.features import SetBackendFeatures, SetFeatures, messages_are_not_offered, set_features
from spec.vhost.mem_table import Region, region_is_empty, region_wraps
from spec.vhost.regions import AddRegion, RemoveRange, is_empty, is_reversed, region_of, wraps

ANY = Profile()


def a_region_is_a_range_or_refused(gpa: int, size: int) -> bool:
    """
    pre: 0 <= gpa <= U64_MAX and 0 <= size <= U64_MAX
    post: __return__
    """
    region = Region(gpa, size, 0)
    is_range = not region_is_empty(region) and not region_wraps(region)
    return is_range == (gpa <= gpa + size - 1 <= U64_MAX)


def one_region_is_judged_as_in_a_table(gpa: int, size: int, hva: int) -> bool:
    """
    pre: 0 <= gpa <= U64_MAX and 0 <= size <= U64_MAX and 0 <= hva <= U64_MAX
    post: __return__
    """
    request, region = AddRegion(gpa=gpa, size=size, hva=hva), Region(gpa, size, hva)
    alike = is_empty(ANY, NEW_DEVICE, request) == region_is_empty(region)
    return alike and wraps(ANY, NEW_DEVICE, request) == region_wraps(region) and region_of(request) == region


def a_range_that_passes_has_a_byte(first: int, last: int) -> bool:
    """
    pre: 0 <= first <= U64_MAX and 0 <= last <= U64_MAX
    post: __return__
    """
    return is_reversed(ANY, NEW_DEVICE, RemoveRange(first=first, last=last)) == (last - first + 1 < 1)


def one_message_feature_is_offered(features: int) -> bool:
    """
    pre: 0 <= features <= U64_MAX
    post: __return__
    """
    refused = messages_are_not_offered(ANY, NEW_DEVICE, SetBackendFeatures(features=features))
    return refused == (features > 2 or features % 2 == 1)


WAITING = Device(iotlb=EMPTY_MAP, unread=(Miss(0, 1, 1, 1),), pending=(Miss(1, 2, 2, 1),))


def misses_go_with_the_iotlb_that_they_wait_for(features: int) -> bool:
    """
    pre: 0 <= features <= U64_MAX
    post: __return__
    """
    after = set_features(Profile(iotlb_mode="follows"), WAITING, SetFeatures(features=features))[0]
    if features % (2 * ACCESS_PLATFORM) >= ACCESS_PLATFORM:
        return after.iotlb is not None and (after.unread, after.pending) == (WAITING.unread, WAITING.pending)
    return after.iotlb is None and after.unread == after.pending == ()
