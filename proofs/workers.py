"""Processes that judge theorems: a solver does one thing at a time, and one that hangs must not hold up the rest."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

JOB_SECONDS = 120.0  # what one job may take before its process is ended


def _serve(connection: Connection, work: Callable[[Any], Any]) -> None:
    """The life of a worker: take a job, send its result, until there are no more.

    When it is ended it leaves by an exception, so that a program that it has started is ended too.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        while (job := connection.recv()) is not None:
            connection.send(work(job))
    except (EOFError, KeyboardInterrupt):
        pass


class _Worker:
    def __init__(self, work: Callable[[Any], Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work), daemon=True)
        self.process.start()
        theirs.close()
        self.job: Any = None
        self.deadline = 0.0

    def give(self, job: Any) -> None:
        self.job, self.deadline = job, time.monotonic() + JOB_SECONDS
        self.connection.send(job)

    def end(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join(2)
        if self.process.is_alive():
            self.process.kill()
            self.process.join(5)


def run_all(
    jobs: Sequence[Any], workers: int, work: Callable[[Any], Any], given_up: Callable[[Any, str], Any]
) -> Iterator[Any]:
    """The result of `work(job)` for each job, as they come; `given_up(job, why)` stands for one that never came."""
    waiting = list(reversed(jobs))
    busy: list[_Worker] = []
    try:
        for _ in range(min(workers, len(waiting))):
            busy.append(_Worker(work))
            busy[-1].give(waiting.pop())
        while busy:
            ready = set(wait([worker.connection for worker in busy], timeout=0.5))
            for worker in list(busy):
                if worker.connection in ready:
                    yield _received(worker, given_up)
                elif time.monotonic() > worker.deadline:
                    yield given_up(worker.job, f"no result within {JOB_SECONDS:.0f} seconds")
                    worker.end()
                else:
                    continue
                busy.remove(worker)
                if waiting:
                    busy.append(worker if worker.process.is_alive() else _Worker(work))
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
        return given_up(worker.job, f"its process died with exit status {worker.process.exitcode}")
