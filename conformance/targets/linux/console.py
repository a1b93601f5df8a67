"""What the kernel of a virtual machine says on its console: whether it reports a bug, and during which vector.

Results come on another way, and who reads them may be late: what stands on the console by now can belong to a vector
whose results were not read yet. So the guest program writes into the kernel's log when it is ready and, if vectors run
one by one, when one begins. The kernel keeps what is in its log in order.
"""

from __future__ import annotations

import contextlib
import re
from collections import deque
from pathlib import Path

# The kernel's own words for "this is a bug", each at the start of its report.
ALARMS = (
    "Kernel panic",
    "Oops",
    "BUG:",
    "kernel BUG at",
    "WARNING:",
    "soft lockup",
    "hard LOCKUP",
    "general protection fault",
    "unable to handle",
    "INFO: task",
    "self-detected stall",
)
READY = "gpaspec: ready"  # what is said before is about the boot
MOST_LINES = 60  # are kept
VECTOR = re.compile(r"gpaspec: vector (\d+)")


class Console:
    """The file that has all that was said.

    `alarmed` is whether a bug was reported since the guest program is ready, `blamed` the vector that had begun last
    when the first was reported, if that is known. `lines` are the last that were said, while that vector ran if there
    is one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.alarmed = False
        self.blamed: int | None = None
        self.ready = False
        self.vector: int | None = None
        self.taken = 0
        self.lines: deque[str] = deque(maxlen=MOST_LINES)
        self.over = False  # another vector has begun after the one that is blamed
        self.rest = ""

    def read(self) -> None:
        """Take the lines that were said since this was last asked."""
        with contextlib.suppress(OSError):
            if self.path.stat().st_size == self.taken:
                return
            with self.path.open("rb") as file:
                file.seek(self.taken)
                text = file.read()
            whole = text.rfind(b"\n") + 1  # a line that is not whole yet is read again
            self.taken += whole
            self.rest = text[whole:].decode(errors="replace")
            for line in text[:whole].decode(errors="replace").splitlines():
                self.take(line)

    def take(self, line: str) -> None:
        begun = VECTOR.search(line)
        self.over |= bool(begun) and self.alarmed
        if line.strip() and not self.over:
            self.lines.append(line.rstrip())
        if READY in line:
            self.ready = True
            self.forget()
        elif begun:
            self.vector = int(begun[1])
        elif not self.alarmed and any(alarm in line for alarm in ALARMS):
            self.alarmed, self.blamed = True, self.vector

    def last_lines(self) -> list[str]:
        self.read()
        return [*self.lines, *([self.rest] if self.rest.strip() and not self.over else [])]

    def begin(self) -> None:
        """The guest program said hello: without a word about that on the console, what is there so far is of the
        boot."""
        self.read()
        if not self.ready:
            self.forget()

    def forget(self) -> None:
        self.alarmed, self.blamed = False, None
