"""Where the fields are that the code of a module uses: from the types that come with it, or from a table.

A table is not believed: where it is wrong, the proof reads a field that is not there, or finds a difference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from proofs.objectcode.btf import Btf, Place
from proofs.objectcode.cannot import Cannot

# Field, as the proofs name it: (struct, path of its fields, bytes).
FIELDS: Mapping[str, tuple[str, str, int]] = {
    "queue.dev": ("vhost_virtqueue", "dev", 8),
    "dev.iotlb": ("vhost_dev", "iotlb", 8),
    "dev.umem": ("vhost_dev", "umem", 8),
    "map.root": ("vhost_iotlb", "root.rb_root.rb_node", 8),
    "map.leftmost": ("vhost_iotlb", "root.rb_leftmost", 8),
    "entry.above": ("vhost_iotlb_map", "rb.__rb_parent_color", 8),
    "entry.right": ("vhost_iotlb_map", "rb.rb_right", 8),
    "entry.left": ("vhost_iotlb_map", "rb.rb_left", 8),
    "entry.first": ("vhost_iotlb_map", "start", 8),
    "entry.last": ("vhost_iotlb_map", "last", 8),
    "entry.size": ("vhost_iotlb_map", "size", 8),
    "entry.host": ("vhost_iotlb_map", "addr", 8),
    "entry.perm": ("vhost_iotlb_map", "perm", 4),
    "entry.summary": ("vhost_iotlb_map", "__subtree_last", 8),
    "segment.host": ("iovec", "iov_base", 8),
    "segment.length": ("iovec", "iov_len", 8),
    "kvm.sets": ("kvm", "memslots", 16),
    "set.generation": ("kvm_memslots", "generation", 8),
    "set.root": ("kvm_memslots", "gfn_tree.rb_node", 8),
    "set.number": ("kvm_memslots", "node_idx", 4),
    "set.last": ("kvm_memslots", "last_used_slot.counter", 8),
    "set.last entry": ("kvm_memslots", "lru_slot.counter", 4),
    "set.used": ("kvm_memslots", "used_slots", 4),
    "set.entries": ("kvm_memslots", "memslots", 0),
    "slot": ("kvm_memory_slot", "", 0x58),
    "slot.nodes": ("kvm_memory_slot", "gfn_node", 48),
    "slot.first": ("kvm_memory_slot", "base_gfn", 8),
    "slot.pages": ("kvm_memory_slot", "npages", 8),
    "node.left": ("rb_node", "rb_left", 8),
    "node.right": ("rb_node", "rb_right", 8),
    "vcpu.kvm": ("kvm_vcpu", "kvm", 8),
    "vcpu.flags": ("kvm_vcpu", "arch.hflags", 4),
    "vcpu.last": ("kvm_vcpu", "last_used_slot", 8),
    "vcpu.generation": ("kvm_vcpu", "last_used_slot_gen", 8),
}

# Modules got types of their own with 5.11. These are from the headers of 5.10: include/linux/vhost_iotlb.h, rbtree.h,
# uio.h, kvm_host.h, arch/x86/include/asm/kvm_host.h, drivers/vhost/vhost.h, as Debian configures it.
TABLE_5_10: Mapping[str, int] = {
    "queue.dev": 0,
    "dev.iotlb": 0x58,
    "dev.umem": 0x50,
    "map.root": 0,
    "map.leftmost": 8,
    "entry.above": 0,
    "entry.right": 8,
    "entry.left": 0x10,
    "entry.first": 0x28,
    "entry.last": 0x30,
    "entry.size": 0x38,
    "entry.host": 0x40,
    "entry.perm": 0x48,
    "entry.summary": 0x50,
    "segment.host": 0,
    "segment.length": 8,
    "kvm.sets": 0x30,
    "set.last entry": 0x408,
    "set.used": 0x40C,
    "set.entries": 0x410,
    "slot": 0,
    "slot.first": 0,
    "slot.pages": 8,
    "vcpu.kvm": 0,
    "vcpu.flags": 0x308,
}


# The flag of a virtual CPU in system management mode (HF_SMM_MASK): its bit, up to 6.3 and later. Types do not say it.
SMM_BITS = (6, 1)
LAST_WITH_FIRST_BIT = (6, 3)


@dataclass(frozen=True)
class Layout:
    """Where fields are, by name, and where that is from; the release that the module was built for."""

    source: str
    places: Mapping[str, Place]
    release: str = "5.10"

    def offset(self, field: str) -> int:
        """Bytes from the beginning of the struct. Raises Cannot for a field that this kernel does not have."""
        if field not in self.places:
            struct, path, _ = FIELDS[field]
            raise Cannot(f"{self.source} do not say where {path} of struct {struct} is")
        return self.places[field].offset

    def bits(self, field: str) -> int:
        return 8 * self.places[field].size

    def smm_bit(self) -> int:
        """The bit of a virtual CPU's flags that says system management mode."""
        found = re.match(r"(\d+)\.(\d+)", self.release)
        if found is None:
            raise Cannot(f"of the release {self.release!r} it is not known which flag says system management mode")
        return SMM_BITS[tuple(map(int, found.groups())) > LAST_WITH_FIRST_BIT]


def from_table(source: str, table: Mapping[str, int]) -> Layout:
    return Layout(source, {name: Place(table[name], FIELDS[name][2]) for name in table})


def from_types(types: Btf, source: str, release: str) -> Layout:
    """The fields that these types have. (A module has only the structs that it uses, and a kernel not all fields.)"""
    places = {}
    for name, (struct, path, _) in FIELDS.items():
        if types.struct(struct) is not None and types.has(struct, path):
            places[name] = types.place(struct, path)
    return Layout(source, places, release)
