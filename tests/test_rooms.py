"""The arrows between the rooms: spec <- model <- proofs <- conformance, and no solver below proofs."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ["spec", "model", "proofs", "conformance"]
SOLVERS = {"z3", "crosshair", "hypothesis"}
IO_MODULES = {"os", "sys", "subprocess", "socket", "io", "pathlib", "json", "threading", "time", "random"}


def modules_imported_by(file: Path) -> set[str]:
    """The top-level names of all modules that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(), filename=str(file))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def forbidden_in(room: str) -> set[str]:
    later = set(ROOMS[ROOMS.index(room) + 1 :])
    below_proofs = room in ("spec", "model")
    return later | {"tests", "bench"} | (SOLVERS if below_proofs else set()) | (IO_MODULES if room == "spec" else set())


@pytest.mark.slow
@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_above_it(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files, f"{room}/ has no Python files"
    wrong = {
        str(file.relative_to(ROOT)): sorted(modules_imported_by(file) & forbidden_in(room))
        for file in files
        if modules_imported_by(file) & forbidden_in(room)
    }
    assert wrong == {}


def test_the_check_itself_can_fail(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    from conformance.runner import run\n")
    assert modules_imported_by(bad) & forbidden_in("spec") == {"conformance"}


def test_rule_ids_are_unique_and_complete() -> None:
    from spec.step import all_rules

    rules = all_rules()
    assert len({rule.id for rule in rules}) == len(rules)
    for rule in rules:
        assert rule.sentence.endswith(".") and rule.source and rule.errno.startswith("E")
        assert rule.id.split(".")[0] in ("KVM", "VHOST", "IOTLB", "XLATE")
