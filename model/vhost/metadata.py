"""A queue's metadata cache: for each part of its ring the entry of the IOTLB that the whole part lies in.

The cache is used without looking whether the address that is asked for lies in the entry. That is right only as long as
it is dropped whenever the ring moves or changes its size, and whenever an entry comes or goes: a new entry may start
before the cached one and count instead of it.

Facts: drivers/vhost/vhost.c vhost_vq_meta_fetch, vhost_vq_meta_update, vhost_vq_meta_reset, iotlb_access_ok;
VHOST_SET_VRING_NUM and VHOST_SET_VRING_ADDR drop it from 6.1.192, 6.12.107 and 7.2 on, and not in 5.10.
"""

from __future__ import annotations

from model.vhost.iotlb import Map
from spec.vhost.address_map import READ, WRITE, may

DESC, AVAIL, USED = 0, 1, 2  # the parts of a ring
ACCESS_OF = {DESC: READ, AVAIL: READ, USED: WRITE}


class MetadataCache:
    """One entry, or none, for each part of a ring."""

    def __init__(self) -> None:
        self.entries: list[Map | None] = [None, None, None]

    def fetch(self, part: int) -> Map | None:
        """The entry that all bytes of this part are in, as far as the cache knows."""
        entry = self.entries[part]
        assert entry is None or not entry.freed, "the metadata cache holds an entry that was freed"
        return entry

    def update(self, part: int, entry: Map) -> None:
        """Remember an entry that the whole part lies in, if it permits what the device does there."""
        if may(entry.perm, ACCESS_OF[part]):
            self.entries[part] = entry

    def reset(self) -> None:
        """Forget all."""
        self.entries = [None, None, None]
