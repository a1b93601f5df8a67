"""What docs/libgpamap.md says can be done as it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.targets.c import build

from .compilers import BUILDS, need

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "libgpamap.md").read_text()


EXAMPLES = list(
    zip(re.findall(r"```c\n(.*?)```", PAGE, re.DOTALL), re.findall(r"It prints `(.*?)`", PAGE), strict=True)
)


@pytest.mark.slow
@pytest.mark.parametrize(("example", "output"), EXAMPLES, ids=["slots", "device"])
def test_the_example_compiles_and_prints_what_the_page_says(example: str, output: str, tmp_path: Path) -> None:
    (commands,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "example.c").write_text(example)
    (tmp_path / "conformance").symlink_to(ROOT / "conformance")
    done = subprocess.run(
        ["sh", "-ec", f"alias cc='{build.compiler()} -Wall -Wextra -Werror'\n{commands}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.strip() == output, done.stderr


# What stands for root: an own prefix, and a loader that knows of it only once it was told, by ldconfig.
WITHOUT_ROOT = """
prefix=$PWD/prefix
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
make() { command make --silent PREFIX="$prefix" "$@"; }
ldconfig() { export LD_LIBRARY_PATH="$prefix/lib"; }
sudo() { "$@"; }
"""


def installed_as_printed(recipe: str, where: Path) -> subprocess.CompletedProcess[str]:
    """What the commands print that install the library and build a program with it, in a directory of their own."""
    example, _ = EXAMPLES[0]
    (where / "example.c").write_text(example)
    shutil.copytree(build.HERE, where / "conformance" / "targets" / "c", ignore=shutil.ignore_patterns("out*"))
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    commands = ["sh", "-ec", WITHOUT_ROOT + recipe]
    return subprocess.run(
        commands, cwd=where, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("make") and shutil.which("pkg-config")), reason="make or pkg-config is not here: install them"
)
def test_an_installed_library_is_found_by_a_program_as_the_page_says(tmp_path: Path) -> None:
    _, output = EXAMPLES[0]
    (recipe,) = re.findall(r"(?:    .*\n)*    .* \$\(pkg-config .*\n(?:    .*\n)*", PAGE)
    told = tmp_path / "told"
    told.mkdir()
    done = installed_as_printed(recipe, told)
    assert done.returncode == 0 and done.stdout.strip() == output, done.stderr
    # The loader has to be told, in one way or in the other.
    untold = recipe.replace("    sudo ldconfig\n", "")
    rpath = re.findall(r"`(-Wl,-rpath,.*?)`", PAGE)
    for name, commands, works in (
        ("untold", untold, False),
        ("rpath", untold.replace(" -o example", f" {rpath[0]} -o example"), True),
    ):
        (tmp_path / name).mkdir()
        done = installed_as_printed(commands, tmp_path / name)
        assert (done.returncode == 0) == works and (done.stdout.strip() == output) == works, done.stderr


@pytest.mark.slow
def test_what_is_inlined_by_link_time_optimization_prints_the_same(tmp_path: Path) -> None:
    example, output = EXAMPLES[0]
    (tmp_path / "example.c").write_text(example)
    include = build.HERE / "include"
    command = [build.compiler(), "-std=c11", "-O2", "-flto", f"-I{include}", str(tmp_path / "example.c")]
    made = subprocess.run(
        [*command, *map(str, build.sources()), "-o", str(tmp_path / "example")], capture_output=True, check=False
    )
    assert made.returncode == 0, made.stderr
    printed = subprocess.run([tmp_path / "example"], capture_output=True, text=True, timeout=60, check=True).stdout
    assert printed.strip() == output


def test_the_index_is_as_short_as_the_page_says() -> None:
    named = [
        "parts.h",
        "search.c",
        "pool.c",
        "hints.c",
        "places.c",
        "edit.c",
        "follow.c",
        "gate.h",
        "gate.c",
        "index.h",
    ]
    assert "these ten files" in PAGE and "under 1,500 lines" in PAGE and len(named) == 10
    lines = {file.name: len(file.read_text().splitlines()) for file in (build.HERE / "src").iterdir()}
    assert sum(lines[name] for name in named) < 1500
    assert re.search(rf"All\s+of `src/` is about {round(sum(lines.values()), -2):,} lines", PAGE), sum(lines.values())


@pytest.mark.slow
def test_the_library_is_called_from_python_as_the_page_says() -> None:
    build.compiler()
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (output,) = re.findall(r"This prints `(.*?)`", PAGE)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip() == output, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("cc", BUILDS)
def test_the_line_that_compiles_it_prints_nothing(cc: str, tmp_path: Path) -> None:
    """Also for 32 bits, and without an option against a warning."""
    (commands,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    line = commands.splitlines()[0]
    (tmp_path / "example.c").write_text(EXAMPLES[0][0])
    (tmp_path / "conformance").symlink_to(ROOT / "conformance")
    assert line.startswith("cc ")
    compiling = f"{' '.join(need(cc))} {line.removeprefix('cc ')}"
    done = subprocess.run(
        ["sh", "-c", compiling], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_every_source_file_is_on_the_page_and_is_there() -> None:
    named = set(re.findall(r"`(\w+\.[ch])`", PAGE)) - {"example.c"}
    there = [file.name for part in ("src", "include") for file in (build.HERE / part).iterdir()]
    assert named == set(there)
