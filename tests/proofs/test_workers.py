"""Workers: every job has a result, also one whose process hangs or dies."""

from __future__ import annotations

import os
import time

import pytest

from proofs import workers
from proofs.workers import run_all


def work(job: str) -> str:
    if job == "hang":
        time.sleep(600)
    if job == "die":
        os._exit(3)
    return f"done {job}"


def given_up(job: str, why: str) -> str:
    return f"gave up {job}: {why}"


@pytest.mark.slow
def test_each_job_has_a_result() -> None:
    jobs = [str(number) for number in range(7)]
    assert sorted(run_all(jobs, 2, work, given_up)) == [f"done {job}" for job in jobs]


def test_a_process_that_dies_costs_only_its_job() -> None:
    results = sorted(run_all(["a", "die", "b", "c"], 2, work, given_up))
    assert results == ["done a", "done b", "done c", "gave up die: its process died with exit status 3"]


@pytest.mark.slow
def test_a_job_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "JOB_SECONDS", 2.0)
    results = sorted(run_all(["hang", "a", "b"], 2, work, given_up))
    assert results == ["done a", "done b", "gave up hang: no result within 2 seconds"]


def test_no_jobs_are_no_results() -> None:
    assert list(run_all([], 2, work, given_up)) == []
