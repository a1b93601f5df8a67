"""Processes that judge theorems: a solver does one thing at a time, and one that hangs must not hold up the rest.

A worker does each job in a process of its own that begins as the worker did when it had imported everything. So what a
job finds does not depend on the jobs before it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any

JOB_SECONDS = 120.0  # what one job may take before its process is ended
START_SECONDS = 120.0  # what a process may take to start
PATIENCE = 1.0  # seconds between asking a job's process to end and ending it

BEGUN = None  # what a worker sends when it begins a job


def _serve(connection: Connection, work: Callable[[Any], Any], prepare: Callable[[], None] | None) -> None:
    """The life of a worker: take a job, have it done, until there are no more."""
    signal.signal(signal.SIGTERM, _leave)
    try:
        if prepare is not None:
            prepare()
        while (job := connection.recv()) is not None:
            connection.send(BEGUN)
            status = _done_apart(connection, work, job)
            if status:
                sys.exit(status)
    except (EOFError, KeyboardInterrupt):
        pass


def _leave(number: int, frame: FrameType | None) -> None:
    """End by an exception, so that what was started is ended too."""
    sys.exit(1)


def _done_apart(connection: Connection, work: Callable[[Any], Any], job: Any) -> int:
    """Do a job in a new process, which sends the result; how that process ended."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            connection.send((job, work(job)))
            status = 0
        finally:
            os._exit(status)
    try:
        return _status(os.waitpid(child, 0)[1])
    except BaseException:
        _end(child)
        raise


def _end(child: int) -> None:
    # It may have ended, and been waited for, a moment before this process was told to end.
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(child, signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if os.waitpid(child, os.WNOHANG)[0]:
                return
            time.sleep(0.02)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _status(of_wait: int) -> int:
    """As a shell says it: a signal is a status from 128 on."""
    code = os.waitstatus_to_exitcode(of_wait)
    return 128 - code if code < 0 else code


class _Worker:
    def __init__(
        self, work: Callable[[Any], Any], prepare: Callable[[], None] | None, most_seconds: float | None
    ) -> None:
        self.most_seconds = most_seconds
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work, prepare), daemon=True)
        self.process.start()
        theirs.close()
        self.job: Any = None
        self.seconds = self.deadline = 0.0

    def give(self, job: Any) -> None:
        self.job, self.seconds = job, START_SECONDS
        self.deadline = time.monotonic() + self.seconds
        self.connection.send(job)

    def begin(self) -> None:
        self.seconds = JOB_SECONDS if self.most_seconds is None else self.most_seconds
        self.deadline = time.monotonic() + self.seconds

    def end(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join(2 * PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join(5)


def run_all(
    jobs: Sequence[Any],
    workers: int,
    work: Callable[[Any], Any],
    given_up: Callable[[Any, str], Any],
    prepare: Callable[[], None] | None = None,
    on_begin: Callable[[Any], None] = lambda _: None,
    seconds: float | None = None,
) -> Iterator[Any]:
    """The result of `work(job)` for each job, as they come; `given_up(job, why)` stands for one that never came.

    `prepare` is called once in each worker, before its first job; `on_begin` is told here of each job that is begun.
    `seconds` is what a job may take, JOB_SECONDS if it is not said.
    """
    waiting = list(reversed(jobs))
    busy: list[_Worker] = []
    try:
        for _ in range(min(workers, len(waiting))):
            busy.append(_Worker(work, prepare, seconds))
            busy[-1].give(waiting.pop())
        while busy:
            ready = set(wait([worker.connection for worker in busy], timeout=0.5))
            for worker in list(busy):
                if worker.connection in ready:
                    message = _received(worker, given_up)
                    if message is BEGUN:
                        worker.begin()
                        on_begin(worker.job)
                        continue
                    yield message[1]
                elif time.monotonic() > worker.deadline:
                    yield given_up(worker.job, f"no result within {worker.seconds:.0f} seconds")
                    worker.end()
                else:
                    continue
                busy.remove(worker)
                if waiting:
                    busy.append(worker if worker.process.is_alive() else _Worker(work, prepare, seconds))
                    busy[-1].give(waiting.pop())
                else:
                    worker.end()
    finally:
        for worker in busy:
            worker.end()


def _received(worker: _Worker, given_up: Callable[[Any, str], Any]) -> Any:
    try:
        return worker.connection.recv()
    except (EOFError, OSError):
        worker.process.join(1)
        why = f"its process died with exit status {worker.process.exitcode}"
        return worker.job, given_up(worker.job, why)
