"""The command line: what it prints, what it exits with, and what it does when it is interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from conformance.cli import main
from conformance.files import DIRECTORY, load_vectors
from conformance.registry import TARGETS
from conformance.runner import load_results

pytestmark = pytest.mark.slow  # each starts the command: not for the inner loop

BAD = Path(__file__).parent / "bad_adapter.py"
ROOT = Path(__file__).parent.parent.parent
COUNTS = {"passed", "deviating", "unexplained", "not_run"}


def gpaspec(*arguments: str) -> Result:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def bad(fault: str) -> str:
    return f"example={sys.executable} {BAD} '{fault}'"


def test_help_names_every_command_and_each_explains_itself() -> None:
    result = gpaspec("--help")
    assert "Exit status: 0 conforms" in result.output
    for name in main.commands:
        assert f"\n  {name} " in result.output
        assert len(gpaspec(name, "--help").output) > 150


def test_targets() -> None:
    assert [line[2:].split()[0] for line in gpaspec("targets").output.splitlines()[: len(TARGETS)]] == [
        n for n, _ in TARGETS
    ]
    assert json.loads(gpaspec("targets", "--json").output)[0]["target"] == "model"


def test_check_prints_a_table(tmp_path: Path) -> None:
    result = gpaspec("check", "spec", "c", "--family", "KVM.RING", "--out", str(tmp_path))
    assert result.exit_code == 0 and "KVM.RING" in result.output and "passed / deviating / not run" in result.output


def test_check_as_json_has_the_shape_that_scripts_rely_on(tmp_path: Path) -> None:
    result = gpaspec("check", "model", "--json", "--out", str(tmp_path))
    assert result.exit_code == 0
    targets = json.loads(result.output)["targets"]
    assert [one["target"] for one in targets] == ["model-tree", "model-array"]
    for one in targets:
        assert {"profile", "environment", "families"} | COUNTS <= set(one)
        assert set(one["families"]) == {"KVM", "VHOST", "IOTLB", "XLATE"}
        assert all(set(counts) == COUNTS for counts in one["families"].values())
        assert all(one[name] == sum(counts[name] for counts in one["families"].values()) for name in COUNTS)
        assert sum(one[name] for name in COUNTS) == len(load_vectors())
    assert targets[0]["passed"] == len(load_vectors())


def test_an_adapter_that_conforms(tmp_path: Path) -> None:
    """The example of the protocol's page: whatever it offers is right."""
    command = f"example={sys.executable} {ROOT / 'conformance' / 'examples' / 'adapter.py'}"
    result = gpaspec("check", command, "--json", "--out", str(tmp_path))
    (target,) = json.loads(result.output)["targets"]
    assert result.exit_code == 0, result.output[-2000:]
    assert target["passed"] > 500 and target["unexplained"] == 0


@pytest.mark.parametrize(
    ("fault", "code", "what"),
    [
        ("exit", 2, "had to be started anew more than 5 times"),
        ("garbage", 2, "wrote a line that is no JSON"),
        ("flood", 2, "out of order or twice"),
        ("wrong name", 2, "says that its name is 'linux'"),
        ("no footer", 2, "before the footer"),
    ],
)
def test_a_bad_adapter_is_one_clear_error(tmp_path: Path, fault: str, code: int, what: str) -> None:
    result = gpaspec("check", bad(fault), "--out", str(tmp_path))
    assert result.exit_code == code and what in result.output.replace("\n", " ")
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("check", "nothing"), "there is no target 'nothing'"),
        (("check", "spec", "--family", "KVM.NONE"), "there is no family 'KVM.NONE'; there are"),
        (
            ("check", "spec", "--family", "KVM.RING", "--family", "KVM.SLOTT"),
            "there is no family 'KVM.SLOTT'; there are",
        ),
        (("check", "linux", "--kernel", "/no/such/bzImage"), "there is no kernel image /no/such/bzImage"),
        (("check", "spec", "--vectors", "/no/such/directory"), "/no/such/directory: there is no such directory"),
        (("check", "spec", "--vectors", "/dev/null"), "/dev/null: is no directory"),
        (("check", "spec", "--vector", "zzz"), "there is no vector 'zzz': an id is the hash that"),
        (("explain", "zzz"), "there is no vector 'zzz': an id is the hash that"),
        (("check", "linux-9.9"), "no Debian kernel '9.9' is known; there are 5.10, 6.1,"),
        (("run", "--kernel", "six"), "'six' is neither the version of a kernel"),
        (("run", "--kernel", "9.9"), "no Debian kernel '9.9' is known"),
        (("fuzz", "nothing"), "there is no target 'nothing' for random operations"),
        (("fuzz", "--operations", "0"), "Invalid value for '--operations'"),
        (("fuzz", "--jobs", "0"), "Invalid value for '--jobs'"),
        (("fuzz", "--time", "0"), "Invalid value for '--time'"),
        (("check", "x=/no/such/adapter"), "cannot start the adapter /no/such/adapter"),
    ],
)
def test_mistakes_have_one_sentence_and_status_2(tmp_path: Path, arguments: tuple[str, ...], what: str) -> None:
    result = gpaspec(*arguments, *(("--out", str(tmp_path)) if arguments[0] == "check" else ()))
    assert result.exit_code == 2 and what in result.output


def test_a_damaged_vector_file_stops_a_check(tmp_path: Path) -> None:
    (tmp_path / "kvm-ring.json").write_text((DIRECTORY / "kvm-ring.json").read_text()[:5000])
    result = gpaspec("check", "spec", "--vectors", str(tmp_path), "--out", str(tmp_path / "out"))
    assert result.exit_code == 2 and "kvm-ring.json: line" in result.output and "no JSON" in result.output
    assert "docs/vectors.md says what is in a vector file" in result.output


def test_a_vector_is_named_in_full_where_it_is_run(tmp_path: Path) -> None:
    vector = load_vectors()[0].id
    result = gpaspec("check", "spec", "--vector", vector[:8], "--out", str(tmp_path))
    assert result.exit_code == 2 and f"ids are given in full; {vector} begins so" in result.output


def test_explain_shows_each_step(tmp_path: Path) -> None:
    vector = next(v for v in load_vectors() if "KVM.SLOT.OVERLAP" in v.rules and v.repair)
    result = gpaspec("explain", vector.id[:10], "--target", "model-tree", "--out", str(tmp_path))
    assert result.exit_code == 0
    for text in (
        "before  no slots",
        "rule    KVM.SLOT.OVERLAP",
        "repaired by",
        "model-tree: passed",
        'expected  {"error":"EEXIST"',
    ):
        assert text in result.output
    assert result.output.count("\nstep ") == len(vector.steps)


def test_explain_as_json() -> None:
    vector = load_vectors()[0]
    document = json.loads(gpaspec("explain", vector.id, "--json").output)
    assert len(document["steps"]) == len(vector.steps)
    assert {"request", "before", "after", "rule", "expected"} <= set(document["steps"][0])


def test_generate_on_a_full_disk_keeps_the_old_files(tmp_path: Path, generated_as_committed: None) -> None:
    """The old file stays until the new one is whole."""
    old = tmp_path / "kvm-access.json"
    old.write_text("old")
    (tmp_path / "kvm-access.new").symlink_to("/dev/full")
    result = gpaspec("generate", "--vectors", str(tmp_path))
    assert result.exit_code == 2 and "No space left on device; the old files are as they were" in result.output
    assert not (tmp_path / "kvm-call.json").exists() and old.read_text() == "old"


def test_export_writes_what_others_can_read(tmp_path: Path) -> None:
    assert gpaspec("export", "--out", str(tmp_path)).exit_code == 0
    lines = (tmp_path / "gpaspec.jsonl").read_text().splitlines()
    vectors = load_vectors()
    assert [json.loads(line)["id"] for line in lines] == [vector.id for vector in vectors]
    families = {json.loads(line)["family"]: json.loads(line)["steps"] for line in lines}
    of_vms, of_devices = families["KVM.SLOT"][0], families["VHOST.TABLE"][0]
    assert of_vms["from_owner"] is True and of_vms["version"] == 1
    tables = [step for step in families["VHOST.TABLE"] if step["op"] == "set_mem_table"]
    assert of_devices["op"] == "set_owner" and tables[0]["regions_readable"] is True
    assert (tmp_path / "gpaspec.flat").read_bytes()[:7] == b"GPAFLAT"


COUNT_PROGRAM = """
#include <stdio.h>
#include "gpaspec_vectors.h"
int main(void)
{
    size_t steps = 0, rejected = 0;
    for (size_t v = 0; v < GPASPEC_VECTORS; v++)
        for (size_t s = 0; s < gpaspec_vectors[v].steps; s++, steps++)
            rejected += gpaspec_vectors[v].step[s].outcome == GPASPEC_REJECTED;
    printf("%d %zu %zu\\n", GPASPEC_VECTORS, steps, rejected);
    return 0;
}
"""


def test_the_c_header_compiles_and_has_everything(tmp_path: Path) -> None:
    assert gpaspec("export", "--form", "c", "--out", str(tmp_path)).exit_code == 0
    (tmp_path / "count.c").write_text(COUNT_PROGRAM)
    command = ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-o", "count", "count.c"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=300)
    out = subprocess.run(["./count"], cwd=tmp_path, check=True, timeout=60, capture_output=True, text=True).stdout
    vectors = load_vectors()
    steps = [step for vector in vectors for step in vector.steps]
    rejected = sum(1 for step in steps if type(step.expected).__name__ == "Rejected")
    assert out.split() == [str(len(vectors)), str(len(steps)), str(rejected)]


def test_export_on_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "gpaspec.jsonl").symlink_to("/dev/full")
    result = gpaspec("export", "--form", "jsonl", "--out", str(tmp_path))
    assert result.exit_code == 2 and "No space left on device" in result.output


def children_of(pid: int) -> list[int]:
    """Processes that were started by a process, from /proc."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, ValueError):
                continue
            if parent == pid:
                found.append(int(entry.name))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_keeps_results_and_ends_what_was_started(tmp_path: Path, number: signal.Signals) -> None:
    """An adapter that hangs at its third vector, and a user (or a system) that has enough of it."""
    command = [
        sys.executable,
        "-m",
        "conformance.cli",
        "check",
        bad("hang"),
        "--family",
        "KVM.SLOT",
        "--out",
        str(tmp_path),
    ]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 60
        while len(load_results("example", tmp_path)) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        adapters = children_of(process.pid)
        assert adapters
        began = time.monotonic()
        os.kill(process.pid, number)
        output, _ = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
    assert process.returncode == 2 and time.monotonic() - began < 15
    assert "interrupted; 2 of" in output and "Traceback" not in output
    assert len(load_results("example", tmp_path)) == 2
    for pid in adapters:
        assert not Path(f"/proc/{pid}").exists()


def test_a_selftest_that_is_told_to_end_ends_the_adapter() -> None:
    command = [sys.executable, "-m", "conformance.cli", "selftest", f"{sys.executable} {BAD} hang 0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        assert "starts, and says who it is" in process.stdout.readline()
        adapters = children_of(process.pid)
        assert adapters
        process.terminate()
        output, _ = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
    assert process.returncode == 2 and "interrupted" in output and "Traceback" not in output
    for pid in adapters:
        assert not Path(f"/proc/{pid}").exists()


def test_nothing_but_json_in_json(tmp_path: Path) -> None:
    document: Any = json.loads(gpaspec("check", "nothing-yet=/bin/false", "--json", "--out", str(tmp_path)).output)
    assert document["targets"][0]["finished"] is False
    assert "ended when it was started" in document["targets"][0]["failure"]
