"""A machine that ends too early ends the run: there is no booting for ever."""

from __future__ import annotations

import queue
from typing import Any

import pytest

from conformance.target import TargetFailed, Trial
from conformance.targets.linux.vm import LinuxVm, Shard
from spec.memslots.lookup import Observe


def test_a_guest_that_leaves_vectors_unanswered(monkeypatch: pytest.MonkeyPatch) -> None:
    target = LinuxVm("6.1")
    booted: list[Any] = []

    def says_it_is_done(shard: Shard, numbers: Any, answers: Any, one_by_one: bool = False) -> None:
        booted.append(numbers)
        del shard.records[min(shard.records)]

    monkeypatch.setattr(target, "run_machine", says_it_is_done)
    trials = {number: Trial(f"{number:012x}", (Observe(),)) for number in range(3)}
    answers: queue.Queue[Any] = queue.Queue()
    target.run_shard(Shard(trials, dict.fromkeys(trials, b"")), answers)
    failure = answers.get_nowait()
    assert isinstance(failure, TargetFailed) and "2 vectors, the first of them 000000000001" in str(failure)
    assert answers.get_nowait() is None and len(booted) == 1
