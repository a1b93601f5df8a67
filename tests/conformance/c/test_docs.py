"""What docs/libgpamap.md says can be done as it says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from conformance.targets.c import build

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "libgpamap.md").read_text()


EXAMPLES = list(
    zip(re.findall(r"```c\n(.*?)```", PAGE, re.DOTALL), re.findall(r"It prints `(.*?)`", PAGE), strict=True)
)


@pytest.mark.parametrize(("example", "output"), EXAMPLES, ids=["slots", "device"])
def test_the_example_compiles_and_prints_what_the_page_says(example: str, output: str, tmp_path: Path) -> None:
    (commands,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "example.c").write_text(example)
    (tmp_path / "conformance").symlink_to(ROOT / "conformance")
    done = subprocess.run(
        ["sh", "-ec", f"alias cc='{build.compiler()} -Wall -Werror'\n{commands}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.strip() == output, done.stderr


def test_every_source_file_is_on_the_page_and_is_there() -> None:
    named = set(re.findall(r"`(\w+\.[ch])`", PAGE)) - {"example.c"}
    there = [file.name for part in ("src", "include") for file in (build.HERE / part).iterdir()]
    assert named == set(there)
