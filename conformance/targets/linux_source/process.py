"""The program as a process: requests go in as words of 64 bits, answers come out as words."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

WORD = 8
SECONDS_TO_ANSWER = 20.0

# As in harness.c.
BEGIN, END, IOCTL, WRITE, READ, TRANSLATE, OBSERVE, OFFER, PACKET, KICK = range(1, 11)
DONE, REFUSED, SEGMENTS, FAULT, MAPS, NO_ROOM, RAN, WRONG = range(8)
SENT, RECEIVED, MISSED, ERROR, DISCARDED, BLOCKED = range(6)


@dataclass(frozen=True)
class Reply:
    """One answer: its kind, and its words."""

    kind: int
    words: tuple[int, ...]


class Died(Exception):
    """The process ended, or answered no more: how, and its last words."""


def request(operation: int, words: Sequence[int]) -> bytes:
    """A request, as the process reads it."""
    return struct.pack(f"<{2 + len(words)}Q", operation, len(words), *words)


def request_with_bytes(operation: int, words: Sequence[int], content: bytes) -> bytes:
    """A request that ends with bytes: how many, and the bytes."""
    padded = content + bytes(-len(content) % WORD)
    count = len(words) + 1 + len(padded) // WORD
    return struct.pack(f"<{3 + len(words)}Q", operation, count, *words, len(content)) + padded


class Process:
    """One running program."""

    def __init__(self, program: Path) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        self.process = subprocess.Popen(
            [str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, bufsize=0
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.input = self.process.stdin.fileno()
        self.output = self.process.stdout.fileno()
        os.set_blocking(self.input, False)
        self.received = b""

    def ask(self, requests: bytes, count: int, seconds: float = SECONDS_TO_ANSWER) -> list[Reply]:
        """Write requests and read as many answers. Raises Died."""
        left = memoryview(requests)
        until = time.monotonic() + seconds
        replies: list[Reply] = []
        while True:
            replies += self.parsed()
            if len(replies) >= count and not left:
                return replies
            readable, writable, _ = select.select(
                [self.output], [self.input] if left else [], [], max(0.0, until - time.monotonic())
            )
            if not readable and not writable:
                raise Died(self.last_words(f"no answer within {seconds:.0f} s"))
            if writable:
                try:
                    left = left[os.write(self.input, left) :]
                except BrokenPipeError:
                    raise Died(self.last_words("")) from None
            if readable:
                read = os.read(self.output, 1 << 20)
                if not read:
                    raise Died(self.last_words(""))
                self.received += read

    def parsed(self) -> list[Reply]:
        """The answers that have come in whole."""
        found, at, data = [], 0, self.received
        while len(data) - at >= 2 * WORD:
            kind, count = struct.unpack_from("<2Q", data, at)
            end = at + (2 + count) * WORD
            if len(data) < end:
                break
            found.append(Reply(kind, struct.unpack_from(f"<{count}Q", data, at + 2 * WORD)))
            at = end
        self.received = data[at:]
        return found

    def last_words(self, why: str) -> str:
        """How the process ended, and what it wrote about it."""
        self.stop(graceful=not why)
        code = self.process.returncode
        if not why:
            why = f"ended by signal {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        self.errors.seek(0, os.SEEK_END)
        self.errors.seek(max(0, self.errors.tell() - 2000))
        text = self.errors.read().decode(errors="replace").strip()
        return f"{why}: {text}" if text else why

    def stop(self, graceful: bool = True) -> None:
        """End it, and wait for its end."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        if graceful:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=2)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
