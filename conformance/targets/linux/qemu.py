"""One virtual machine: boot a kernel in QEMU, take its frames, keep its console, end it in time."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from conformance.target import TargetUnavailable
from conformance.targets.linux.console import MOST_LINES, Console
from conformance.targets.linux.flat import Frame, FrameReader
from conformance.targets.linux.flat_step import Garbled

QEMU = "qemu-system-x86_64"
RESULT_PORT = 0xE9


@dataclass(frozen=True)
class MachineOptions:
    """How the machine is made: accelerator, memory in MiB, seconds for the boot, seconds without a sign of life that
    count as a hang, words for the kernel's command line, and what modules are told when they are loaded: (name of the
    module, words)."""

    accelerator: str = "tcg"
    memory: int = 2048
    boot_seconds: float = 120
    silence_seconds: float = 90
    command_line: tuple[str, ...] = ()
    module_parameters: tuple[tuple[str, str], ...] = ()


class MachineDied(Exception):
    """The machine ended, hung or sent garbage before it was done. The text says which."""


def qemu_program() -> str:
    """The path of QEMU. Raises TargetUnavailable with what to install."""
    found = shutil.which(QEMU)
    if found is None:
        raise TargetUnavailable(f"{QEMU} is not here: install QEMU (apt-get install qemu-system-x86)")
    return found


class Machine:
    """A virtual machine from its start to its end. Use it in a `with` block."""

    def __init__(self, kernel: Path, system: Path, vectors: bytes, options: MachineOptions) -> None:
        self.options = options
        self.directory = Path(tempfile.mkdtemp(prefix="gpaspec-vm-"))
        self.console = Console(self.directory / "console")
        self.process: subprocess.Popen[bytes] | None = None
        try:
            initrd = self.directory / "initrd"
            shutil.copyfile(system, initrd)
            with initrd.open("ab") as file:
                file.write(vectors)
            self.console.path.touch()
            with (self.directory / "stderr").open("wb") as stderr:
                self.process = subprocess.Popen(
                    self.command(kernel, initrd),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    start_new_session=True,  # a Ctrl-C is for us; we end QEMU ourselves
                )
        except BaseException:
            self.close()
            raise

    def command(self, kernel: Path, initrd: Path) -> list[str]:
        tcg = self.options.accelerator == "tcg"
        words = ["console=ttyS0", "loglevel=5", "panic=-1", "mitigations=off", "rcupdate.rcu_expedited=1"]
        # On a host with much else to do the emulated timer is late, and a kernel that tests it at boot panics.
        words.append("no_timer_check")
        # For modules that are built in; those that are loaded are told when they are.
        words += [f"{module}.{word}" for module, told in self.options.module_parameters for word in told.split()]
        # setpriv ends QEMU when we are killed without a chance to do so.
        wrapper = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        return [
            *wrapper,
            qemu_program(),
            *("-accel", "tcg,thread=single" if tcg else self.options.accelerator),
            *("-cpu", "max,la57=off" if tcg else "host"),
            *("-m", str(self.options.memory), "-smp", "1"),
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-serial", f"file:{self.console.path}"),
            *("-chardev", "stdio,id=results,signal=off"),
            *("-device", f"isa-debugcon,iobase={RESULT_PORT:#x},chardev=results"),
            *("-kernel", str(kernel), "-initrd", str(initrd)),
            *("-append", " ".join([*words, *self.options.command_line])),
        ]

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def frames(self) -> Iterator[Frame]:
        """The frames as they come, until the machine has ended. Raises MachineDied after the last good one."""
        assert self.process is not None and self.process.stdout is not None
        reader = FrameReader()
        output = self.process.stdout.fileno()
        deadline = time.monotonic() + self.options.boot_seconds
        booting = True
        while True:
            ready, _, _ = select.select([output], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                if booting:
                    raise MachineDied(f"it did not boot within {self.options.boot_seconds:.0f} s")
                raise MachineDied(f"it hung: no sign of life for {self.options.silence_seconds:.0f} s")
            data = os.read(output, 1 << 16)
            if not data:
                break
            if booting:
                booting = False
                # It is in the machine's memory by now; should we be killed, nothing large stays behind.
                (self.directory / "initrd").unlink(missing_ok=True)
            deadline = time.monotonic() + self.options.silence_seconds
            try:
                yield from reader.feed(data)
            except Garbled as garbled:
                raise MachineDied(f"what it sent is garbled: {garbled}") from None
        if reader.pending():
            raise MachineDied("it ended in the middle of a result")

    def last_words(self) -> str:
        """The end of the console, and what QEMU itself complained about."""
        lines = self.console.last_lines()
        with contextlib.suppress(OSError):
            text = (self.directory / "stderr").read_text(errors="replace")
            lines += [line for line in text.splitlines() if line.strip()][-MOST_LINES:]
        return "\n".join(lines)

    def kill(self) -> None:
        """End the machine now; whoever reads its frames sees them end."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()

    def close(self) -> None:
        """End the machine if it still runs, and remove its files. Safe to call twice."""
        if self.process is not None:
            self.kill()
            self.process.wait(timeout=30)
            if self.process.stdout is not None:
                self.process.stdout.close()
        shutil.rmtree(self.directory, ignore_errors=True)
