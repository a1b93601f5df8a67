"""The page about the trusted base names every part of the engine, with its size, and counts the planted faults."""

from __future__ import annotations

import re
from pathlib import Path

from tests.proofs.faults import FAULTS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "proofs.md").read_text()
ROW = re.compile(r"^\| (`.*?`) \| (\d+) \|", re.MULTILINE)


def test_every_part_of_the_engine_is_named_with_its_size() -> None:
    files = {path.stem: len(path.read_text().splitlines()) for path in (ROOT / "proofs" / "symbolic").glob("*.py")}
    del files["__init__"]
    for names, lines in ROW.findall(PAGE):
        parts = [name.strip("` ") for name in names.split(",")]
        size = sum(files.pop(part) for part in parts)
        assert abs(size - int(lines)) <= 0.3 * size, f"{parts} have {size} lines"
    assert not files, "parts that the page does not name"


def test_the_faults_are_as_many_as_the_page_says() -> None:
    assert f"{len(FAULTS)} faults are planted" in " ".join(PAGE.split())
