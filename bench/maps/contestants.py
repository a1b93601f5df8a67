"""Who takes part, and how each is compiled. Flags are the same for all, but for what is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.maps import build


@dataclass(frozen=True)
class Contestant:
    """`build` compiles it (or finds it in the cache), and raises TargetUnavailable with the reason if it cannot."""

    name: str
    title: str
    build: Callable[[], Path]
    arbitrary: bool = True  # takes arbitrary ranges: a peer
    slow: bool = False  # a search that goes from region to region: not with more than 4096 of them
    changes_at: int = 2**16  # changes are measured with fewer regions than this; 0: another contestant's are the same


def listed(*all_of_them: Contestant) -> dict[str, Contestant]:
    return {one.name: one for one in all_of_them}


CONTESTANTS = listed(
    Contestant("floor", "floor: the index is given", lambda: build.own("floor.c"), arbitrary=False),
    Contestant("itree", "vhost interval tree (kernel)", lambda: build.with_trees("itree.c")),
    Contestant("kvm", "KVM-like: rbtree, used last (kernel)", lambda: build.with_trees("kvm.c")),
    Contestant("maple", "maple tree (kernel)", build.maple),
    Contestant("gtree", "GLib GTree", build.glib),
    Contestant("std-map", "std::map", lambda: build.cplusplus("std_map.cpp")),
    Contestant("icl", "Boost.ICL interval_map", build.icl),
    Contestant("vm-memory", "vm-memory (Rust)", build.vm_memory),
    Contestant("dpdk", "DPDK-like: from the first on", lambda: build.own("dpdk.c"), slow=True, changes_at=4096),
    Contestant("qemu", "QEMU-like: radix tree, used last", lambda: build.own("qemu.c")),
    Contestant("spdk", "SPDK-like: 2 MiB table", lambda: build.own("spdk.c"), arbitrary=False),
    Contestant("sorted", "sorted array, binary search", lambda: build.own("sorted.c")),
    Contestant("s+tree", "S+tree, static, -march=native", lambda: build.own("splus.c", ("-march=native",))),
    Contestant("gpamap", "libgpamap slots", build.slots),
    Contestant("gpamap-call", "libgpamap slots, shared library", build.slots_called, changes_at=0),
    Contestant("gpamap-again", "libgpamap slots, last hit first", build.slots_again, changes_at=0),
    Contestant("gpamap-512", "libgpamap slots, blocks of 512", build.slots_in_large_blocks),
    Contestant("gpamap-index", "libgpamap's index alone", build.index, arbitrary=False),
    Contestant("gpamap-table", "libgpamap table", build.table),
)

RWLOCK, MUTEX = ("-DLOCKED_BY_RWLOCK",), ("-DLOCKED_BY_MUTEX",)

# One reader beside one writer: libgpamap, and maps with a lock around them.
BESIDE = listed(
    CONTESTANTS["gpamap"],
    CONTESTANTS["gpamap-call"],
    Contestant("itree-rwlock", "vhost interval tree, rwlock", lambda: build.with_trees("itree.c", RWLOCK)),
    Contestant("itree-mutex", "vhost interval tree, mutex", lambda: build.with_trees("itree.c", MUTEX)),
    Contestant("kvm-rwlock", "KVM-like, rwlock", lambda: build.with_trees("kvm.c", RWLOCK)),
    Contestant("std-map-rwlock", "std::map, rwlock", lambda: build.cplusplus("std_map.cpp", RWLOCK)),
)

# Not measured, only counted: valgrind does not have all instructions that -march=native may use.
FOR_VALGRIND = listed(
    Contestant("s+tree-avx2", "S+tree, static, -mavx2 for valgrind", lambda: build.own("splus.c", ("-mavx2",)))
)

JUDGE = "floor"
YARDSTICK = "itree"
LIBRARY = "gpamap"
TWO_SETS = "kvm"
STATIC = "s+tree"
