"""A vhost vector as one self-contained C program: see `reproduce`.

The program has its own tap. It performs the steps on /dev/vhost-net and prints beside what is expected what it saw:
packets by their length and digest, written memory, whether an error or a miss was reported, pages marked as dirty.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conformance.backings import BACKING_SIZE, BASES, name
from conformance.payload import bytes_of, digest
from conformance.seen import joined
from conformance.targets.linux.flat_vhost import BACKENDS, FOREIGN, chain_pairs
from conformance.vector import Step
from spec.outcome import (
    Broken,
    Done,
    MessageTaken,
    Missed,
    MissRead,
    NothingRead,
    Outcome,
    Ran,
    Received,
    Rejected,
    Segment,
    Sent,
)
from spec.units import U64
from spec.vhost.backend import SetBackend
from spec.vhost.call import OwnerCall
from spec.vhost.device import Chain
from spec.vhost.features import SetBackendFeatures, SetFeatures
from spec.vhost.mem_table import SetMemTable
from spec.vhost.messages import ReadMessage, WriteMessage
from spec.vhost.owner import ResetOwner, SetOwner
from spec.vhost.queue_io import Kick, Offer, Packet, Transmit
from spec.vhost.ring import SetLogBase, SetRingAddresses, SetRingSize

FIXED_PART = Path(__file__).with_name("reproducer_vhost.c")

INCLUDES = """#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/vhost.h>
#include <linux/virtio_ring.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
"""


def constants() -> str:
    """Where host memory is, in the order in which the fixed part counts it."""
    bases = ", ".join(f"{BASES[backing]:#x}ull" for backing in "ABCDRL")
    return (
        f"#define BACKINGS {len(BASES)}\n#define BACKING_BYTES {BACKING_SIZE:#x}ull\n"
        f"static const uint64_t base[BACKINGS] = {{ {bases} }};\n"
    )


# WHAT IS EXPECTED ------------------------------------------------------------------------------------------------


def host_text(address: int) -> str:
    named = name(address)
    return f"{address:#x}" if named is None else f"{named[0]}+{named[1]:#x}"


def written_text(segments: tuple[Segment, ...]) -> list[str]:
    """Written memory, in order of its address."""
    pieces = joined(tuple(sorted((one.host, one.last - one.first + 1) for one in segments)))
    return [f" written {host_text(host)} {length} bytes;" for host, length in pieces]


def ran_text(ran: Ran) -> str:
    """What a run is to show, in the order in which the program prints it."""
    packets: list[str] = []
    written: list[str] = []
    troubles: list[str] = []
    for event in ran.events:
        match event:
            case Sent(segments):
                content = bytes_of(segments)
                packets.append(f" packet of {len(content)} bytes {digest(content):x};")
            case Received(segments):
                written += written_text(segments)
            case Broken():
                troubles.append(" error;")
            case Missed():
                troubles.append(" miss;")
    pages = [f" page {page};" for first, last in ran.marked.ranges for page in range(first, last + 1)]
    return "ran:" + "".join([*packets, *written, *sorted(set(troubles)), *pages])


def expected_text(outcome: Outcome) -> str:
    """What the specification expects, in the words in which the program prints what it got."""
    match outcome:
        case Done():
            return "ok"
        case Rejected(rule):
            return f"{rule.errno} ({rule.id})"
        case Ran():
            return ran_text(outcome)
        case MessageTaken(length, ran):
            return f"{length} bytes taken, {ran_text(ran)}"
        case MissRead(version, iova, access):
            return f"miss of {iova:#x}, access {access}, framing {version}"
        case NothingRead():
            return "nothing"
        case _:
            return "(userspace cannot ask for this)"


# WHAT IS DONE ----------------------------------------------------------------------------------------------------


def number(value: int) -> str:
    return f"{value % U64:#x}ull"


def how(request: Any) -> str:
    stranger = isinstance(request, OwnerCall) and not request.from_owner
    return f"{int(stranger)}, {int(not request.readable)}"


def offered(queue: int, chain: Chain) -> str:
    """The statement that offers a chain."""
    pairs = chain_pairs(chain)
    rows = [
        f"{{ {', '.join(number(value) for value in (*pairs[at], *pairs[at + 1]))} }}" for at in range(0, len(pairs), 2)
    ]
    return f"offer({queue}, {len(rows)}, (const uint64_t[][4]){{ {', '.join(rows)} }});"


def table_statement(r: SetMemTable) -> str:
    rows = [f"{{ {number(one.gpa)}, {number(one.size)}, {number(one.hva)} }}" for one in r.regions] or ["{ 0 }"]
    regions = f"(const uint64_t[][3]){{ {', '.join(rows)} }}"
    return f"set_mem_table({how(r)}, {r.padding:#x}u, {int(not r.regions_readable)}, {len(r.regions)}, {regions});"


def message_statement(r: WriteMessage) -> str:
    what = f"{r.framing:#x}u, {r.length}, {r.kind}"
    where = f"{number(r.iova)}, {number(r.size)}, {number(r.uaddr)}"
    return f"write_message({what}, {where}, {r.perm}, {r.asid:#x}u);"


def addresses_statement(r: SetRingAddresses) -> str:
    where = ", ".join(number(address) for address in (r.desc, r.used, r.avail, r.log))
    return f"set_ring_addresses({how(r)}, {r.queue:#x}u, {r.flags:#x}u, {where});"


def statements(request: Any) -> list[str]:
    """The C statements for one request."""
    match request:
        case SetOwner():
            return ["set_owner();"]
        case ResetOwner():
            return [f"reset_owner({int(not request.from_owner)});"]
        case SetFeatures():
            return [f"set_features({int(not request.readable)}, {number(request.features)});"]
        case SetBackendFeatures():
            return [f"set_message_features({int(not request.readable)}, {number(request.features)});"]
        case SetMemTable():
            return [table_statement(request)]
        case SetLogBase():
            return [f"set_log_base({how(request)}, {number(request.base)});"]
        case SetRingSize():
            return [f"set_ring_size({how(request)}, {request.queue:#x}u, {request.size:#x}u);"]
        case SetRingAddresses():
            return [addresses_statement(request)]
        case SetBackend():
            return [f"set_backend({how(request)}, {request.queue:#x}u, {BACKENDS.index(request.backend)});"]
        case WriteMessage():
            return [message_statement(request)]
        case ReadMessage():
            return [f"read_message({request.length});"]
        case Transmit(chain):
            return [offered(1, chain), "kick(1, 0);"]
        case Offer(chain):
            return [offered(0, chain), 'printf("ran:\\n");']
        case Packet(length):
            return [f"packet({length});"]
        case Kick(queue) if queue < 2:
            return [f"kick({queue}, {int(queue == 0)});"]
        case _:
            return ['printf("(userspace cannot ask for this)\\n");']


def is_foreign(steps: Sequence[Step]) -> bool:
    """Whether there is a call among the steps that Linux does not have."""
    return any(isinstance(one.request, FOREIGN) for one in steps)
