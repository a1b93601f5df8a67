"""A vector as one self-contained C program, for whoever has to see a deviation without any of our tools.

    gcc -Wall -static -o reproducer reproducer.c && ./reproducer

The program performs the steps on /dev/kvm or /dev/vhost-net and prints beside each what the specification expects.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conformance.backings import BACKING_SIZE, BASES, DATA, name
from conformance.targets.linux import reproduce_vhost
from conformance.vector import Step, Vector
from spec.memslots.access import GUEST_SPACE, GuestWrite, VcpuRead, VcpuWrite
from spec.memslots.clear_dirty_log import ClearDirtyLog
from spec.memslots.create_guest_memfd import CreateGuestMemfd
from spec.memslots.dirty_ring import EnableDirtyRing
from spec.memslots.get_dirty_log import GetDirtyLog
from spec.memslots.manual_protect import EnableManualProtect
from spec.memslots.set_region import SetRegion
from spec.memslots.slot import EMPTY_VM, Vm
from spec.operation import Operation
from spec.outcome import DirtyPages, Done, Mmio, Outcome, Rejected, Touched, Written
from spec.pages import Pages
from spec.profile import Profile, with_switches
from spec.step import MEMSLOTS, operation_of, step, subject_of
from spec.units import PAGE_SIZE, U64, address_of, page_of

FIXED_PART = Path(__file__).with_name("reproducer.c")

CODE_SLOT = 500  # every kernel has this many
LAST_CODE_PAGE = page_of(0xE0000000)


INCLUDES = """#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
"""


def program(vector: Vector) -> str:
    """The C source for a vector."""
    profile = with_switches(Profile(), dict(vector.switches))
    return source(vector.steps, profile, f"{vector.title} (vector {vector.id})", vector.because)


def source(steps: Sequence[Step], profile: Profile, title: str, because: str = "") -> str:
    """The C source for steps with what is expected of them; `profile` tells where slots are as the program runs."""
    about_slots = subject_of([one.request for one in steps]) is MEMSLOTS
    bodies = slot_statements(steps, profile) if about_slots else [reproduce_vhost.statements(s.request) for s in steps]
    text_of = expected_text if about_slots else reproduce_vhost.expected_text
    calls: list[str] = []
    for number, (one, body) in enumerate(zip(steps, bodies, strict=True), start=1):
        calls.append(f"\t/* {number}. {in_comment(described(one.request))} */")
        expected = in_string(text_of(one.expected))
        calls.append(f'\texpect({number}, "{operation_of(one.request).name}", "{expected}");')
        calls += [f"\t{line}" for line in body]
    device = "/dev/kvm" if about_slots else "/dev/vhost-net, as root"
    lines = [f" * {line}" for line in (in_comment(title), in_comment(because)) if line]
    head = (
        "/*\n"
        + "\n".join(lines)
        + f"\n *\n * Compile: gcc -Wall -static -o reproducer this_file.c    Run: ./reproducer (needs {device})\n */"
    )
    main = "int main(void)\n{\n\tset_up();\n" + "\n".join(calls) + "\n\treturn 0;\n}\n"
    if not about_slots:
        fixed = reproduce_vhost.FIXED_PART.read_text()
        return f"{head}\n{reproduce_vhost.INCLUDES}\n{reproduce_vhost.constants()}\n{fixed}\n{main}"
    return f"{head}\n{INCLUDES}\n{slot_constants()}\n{FIXED_PART.read_text()}\n{main}"


def slot_constants() -> str:
    """Where host memory is."""
    backings = ", ".join(f"{BASES[backing]:#x}ull" for backing in DATA)
    return (
        f"#define BACKINGS {len(DATA)}\n#define BACKING_BYTES {BACKING_SIZE:#x}ull\n#define CODE_SLOT {CODE_SLOT}\n"
        f"static const uint64_t base[BACKINGS] = {{ {backings} }};\n"
    )


def slot_statements(steps: Sequence[Step], profile: Profile) -> list[list[str]]:
    """The statements of each step of a memslot vector."""
    bodies = []
    vm = EMPTY_VM
    for one in steps:
        bodies.append(statements(one.request, one.expected, vm))
        vm, _ = step(profile, vm, one.request)
    return bodies


def in_comment(text: str) -> str:
    return text.replace("*/", "* /").replace("\n", " ")


def in_string(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")


def described(request: Any) -> str:
    """A request in one line, numbers in hex."""
    operation: Operation = operation_of(request)
    parts = []
    for field in request.__dataclass_fields__:
        value = getattr(request, field)
        if value == request.__dataclass_fields__[field].default:
            continue
        if isinstance(value, int) and not isinstance(value, bool):
            value = f"{value:#x}"
        elif isinstance(value, Pages):
            value = pages_text(value)
        parts.append(f"{field}={value}")
    return f"{operation.name} {', '.join(parts)}".strip()


def host_text(address: int) -> str:
    """A host address as the program prints it."""
    named = name(address)
    return f"{address:#x}" if named is None else f"{named[0]}+{named[1]:#x}"


def pages_text(pages: Pages) -> str:
    return "pages" + "".join(f" {first}-{last}" for first, last in pages.ranges) if pages.ranges else "no pages"


def expected_text(outcome: Outcome) -> str:
    """What the specification expects, in the words in which the program prints what it got."""
    match outcome:
        case Done():
            return "ok"
        case Rejected(rule):
            return f"{rule.errno} ({rule.id})"
        case DirtyPages(pages, size):
            return f"{pages_text(pages)}, {size} bytes"
        case Written(segments):
            parts = [f"{host_text(s.host)}..{host_text(s.host + s.last - s.first)}" for s in segments]
            return "written " + (" ".join(parts) or "nothing")
        case Touched(host):
            return f"reached {host_text(host)}"
        case Mmio(gpa):
            return f"mmio at {gpa:#x}"
        case _:
            return "(userspace cannot ask for this)"


def number(value: int) -> str:
    return f"{value % U64:#x}ull"


def how_called(request: Any) -> str:
    return f"{int(not request.from_owner)}, {int(not request.readable)}"


def code_page(vm: Vm, gpa: int) -> int:
    """The address of a guest page that no slot has and that is not accessed, for the guest's code."""
    page = LAST_CODE_PAGE
    taken = [slot for slot in vm.slots if slot.space == GUEST_SPACE]
    while page > 0 and (page == page_of(gpa) or any(slot.contains(page) for slot in taken)):
        page -= 1
        for slot in taken:
            if slot.contains(page):
                page = slot.base_gfn - 1
    return address_of(max(page, 0))


def statements(request: Any, expected: Outcome, vm: Vm) -> list[str]:
    """The C statements for one request."""
    match request:
        case SetRegion():
            call = "set_region" if request.version == 1 else "set_region2"
            memfd = "" if request.version == 1 else f", {request.memfd}, {number(request.memfd_offset)}"
            where = f"{request.slot:#x}u, {request.flags:#x}u, {number(request.gpa)}, {number(request.size)}"
            return [f"{call}({how_called(request)}, {where}, {number(request.hva)}{memfd});"]
        case CreateGuestMemfd():
            return [
                f"create_memfd({how_called(request)}, {request.file}, {number(request.size)}, {number(request.flags)});"
            ]
        case GetDirtyLog():
            slot_bytes = expected.bitmap_bytes if isinstance(expected, DirtyPages) else PAGE_SIZE
            return [
                f"get_dirty_log({how_called(request)}, {request.slot:#x}u, {int(request.buffer_ok)}, {slot_bytes}ull);"
            ]
        case ClearDirtyLog():
            marks = [f"mark({number(first)}, {number(last)});" for first, last in request.cleared.ranges]
            call = f"clear_dirty_log({how_called(request)}, {request.slot:#x}u, {int(request.buffer_ok)}, "
            return [*marks, f"{call}{number(request.first_page)}, {request.num_pages:#x}u);"]
        case EnableManualProtect():
            return [f"enable({how_called(request)}, 168, {request.flags:#x}u, {number(request.options)});"]
        case EnableDirtyRing():
            return [f"enable({how_called(request)}, 192, 0, {number(request.size)});"]
        case GuestWrite():
            if request.length != 12 or request.gpa == 0:
                return ['printf("(only 12 bytes, and not at address 0, can be written in this way)\\n");']
            return [f"guest_write({number(request.gpa)});"]
        case VcpuRead() | VcpuWrite():
            if request.gpa >= 2**32:
                return ['printf("(guest code in real mode reaches only the first 4 GiB)\\n");']
            write = int(isinstance(request, VcpuWrite))
            return [f"vcpu_access({number(request.gpa)}, {write}, {number(code_page(vm, request.gpa))});"]
        case _:
            return ['printf("(userspace cannot ask for this)\\n");']
