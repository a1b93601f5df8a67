"""What docs/libgpamap.md says can be done as it says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from conformance.targets.c import build

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "libgpamap.md").read_text()


def test_the_example_compiles_and_prints_what_the_page_says(tmp_path: Path) -> None:
    (example,) = re.findall(r"```c\n(.*?)```", PAGE, re.DOTALL)
    (commands,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    (output,) = re.findall(r"It prints `(.*?)`", PAGE)
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
    assert named == {file.name for file in (build.HERE / "src").iterdir()}
