"""The library as its users build it: make, make install, pkg-config, both libraries, and nothing else visible."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from conformance.targets.c import build

from .compilers import BUILDS, cxx_of, need

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("make") and shutil.which("pkg-config")), reason="make or pkg-config is not here: install them"
    ),
]

TAKEN = ("include", "src", "examples", "Makefile", "gpamap.pc.in")
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread"]
EXAMPLES = sorted((build.HERE / "examples").glob("*.c")) + sorted((build.HERE / "examples").glob("*.cc"))


@dataclass(frozen=True)
class Installed:
    """What `make install` left below a directory of its own, and the words that start the compiler."""

    root: Path
    cc: str

    @property
    def lib(self) -> Path:
        return self.root / "opt" / "gpamap" / "lib"

    def compiler_for(self, source: Path) -> list[str]:
        """Skips the test where there is none."""
        if source.suffix == ".cc":
            return [*need(cxx_of(self.cc), "c++"), "-std=c++17", *STRICT]
        return [*need(self.cc), "-std=c11", *STRICT]

    def pkg_config(self, *options: str) -> list[str]:
        environment = {
            **os.environ,
            "PKG_CONFIG_LIBDIR": str(self.lib / "pkgconfig"),
            "PKG_CONFIG_SYSROOT_DIR": str(self.root),
        }
        return said(["pkg-config", *options, "gpamap"], env=environment).split()


def said(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """What a command prints. It has to succeed without a word on stderr."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0 and done.stderr == "", f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def taken_away(to: Path) -> Path:
    """The directory as somebody takes it: without what only this project needs."""
    to.mkdir()
    for name in TAKEN:
        source = build.HERE / name
        if source.is_dir():
            shutil.copytree(source, to / name)
        else:
            shutil.copy(source, to / name)
    return to


@pytest.fixture(scope="module", params=BUILDS)
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    cc: str = request.param
    need(cc)
    base = tmp_path_factory.mktemp("packaging")
    here = taken_away(base / "lib gpamap")
    where = ["PREFIX=/opt/gpamap", f"DESTDIR={base / 'root'}"]
    # The linker is to name whatever neither the library nor libc has.
    how = [f"CC={cc}", "CFLAGS=-O2 -Werror", "LDFLAGS=-Wl,-z,defs"]
    said(["make", *how], cwd=here)
    said(["make", "install", *how, *where], cwd=here)
    return Installed(base / "root", cc)


def public_names() -> set[str]:
    """The functions that the headers declare."""
    text = "".join(header.read_text() for header in (build.HERE / "include").glob("*.h"))
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return set(re.findall(r"^(?!typedef)\w[^;{}#]*?\b(gpamap_\w+)\(", text, re.MULTILINE))


def names_in(library: Path, *options: str) -> set[str]:
    return {
        line.split()[-1] for line in said(["nm", *options, "--defined-only", str(library)]).splitlines() if " " in line
    }


def test_the_shared_library_shows_what_the_headers_declare_and_nothing_else(installed: Installed) -> None:
    assert "gpamap_lookup" in public_names() and "gpamap_device_translate" in public_names()
    assert names_in(installed.lib / "libgpamap.so", "-D") == public_names()


def test_the_static_library_has_no_other_names_to_clash_with(installed: Installed) -> None:
    names = names_in(installed.lib / "libgpamap.a", "-g")
    # i386 code has thunks, which every object has, and which the linker merges.
    assert {name for name in names if not name.startswith("__x86.")} == public_names()


def test_the_shared_library_has_a_soname_and_a_version(installed: Installed) -> None:
    (version,) = installed.pkg_config("--modversion")
    soname = re.search(r"\(SONAME\).*\[(.*)\]", said(["readelf", "-d", str(installed.lib / "libgpamap.so")]))
    assert soname and soname[1] == f"libgpamap.so.{version.split('.')[0]}"
    assert os.readlink(installed.lib / "libgpamap.so") == soname[1]
    assert os.readlink(installed.lib / soname[1]) == f"libgpamap.so.{version}"


def test_libc_is_all_that_it_needs(installed: Installed) -> None:
    """No libatomic either: 64-bit atomics are instructions, for 32 bits too."""
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", said(["readelf", "-d", str(installed.lib / "libgpamap.so")]))
    assert set(needed) <= {"libc.so.6", "ld-linux.so.2"}, needed
    assert "-latomic" not in installed.pkg_config("--libs", "--static")


@pytest.mark.parametrize("linked", ["shared", "static"])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_prints_what_it_should(installed: Installed, example: Path, linked: str, tmp_path: Path) -> None:
    command = installed.compiler_for(example)
    if linked == "shared":
        libraries = installed.pkg_config("--libs")
    else:
        libraries = ["-static", *installed.pkg_config("--libs", "--static")]
    program = tmp_path / "example"
    said([*command, *installed.pkg_config("--cflags"), str(example), *libraries, "-o", str(program)])
    printed = said([str(program)], env={"LD_LIBRARY_PATH": str(installed.lib)} if linked == "shared" else {})
    assert printed == example.with_name(f"{example.name}.expected").read_text()


def test_a_program_may_have_functions_of_the_same_names(installed: Installed, tmp_path: Path) -> None:
    """Whatever the library's files share among themselves, under names as short as they like."""
    here = installed.root.parent / "lib gpamap" / "out"
    shared = set.union(*(names_in(object_, "-g") for object_ in here.glob("*.o") if object_.name != "libgpamap.o"))
    private = sorted(name for name in shared - public_names() if name.isidentifier())
    assert len(private) > 10
    own = tmp_path / "own.c"
    own.write_text(
        "#include <stdlib.h>\n" + "".join(f"void {name}(void);\nvoid {name}(void) {{ abort(); }}\n" for name in private)
    )
    example = build.HERE / "examples" / "slots.c"
    for library in ("libgpamap.a", "libgpamap.so"):
        program = tmp_path / library.replace(".", "-")
        files = [str(own), str(example), str(installed.lib / library)]
        said([*installed.compiler_for(example), *installed.pkg_config("--cflags"), *files, "-o", str(program)])
        printed = said([str(program)], env={"LD_LIBRARY_PATH": str(installed.lib)})
        assert printed == example.with_name("slots.c.expected").read_text()


def test_uninstall_leaves_nothing(tmp_path: Path) -> None:
    here = taken_away(tmp_path / "gpamap")
    where = ["PREFIX=/usr", f"DESTDIR={tmp_path / 'root'}", "LIBDIR=/usr/lib/here", "INCLUDEDIR=/usr/include/gpamap"]
    said(["make", "install", *where], cwd=here)
    assert len([path for path in (tmp_path / "root").rglob("*") if not path.is_dir()]) == 7
    said(["make", "uninstall", *where], cwd=here)
    assert [path for path in (tmp_path / "root").rglob("*") if not path.is_dir()] == []


@pytest.mark.parametrize("cc", BUILDS)
def test_make_check_compares_what_the_examples_print(cc: str, tmp_path: Path) -> None:
    need(cc)
    need(cxx_of(cc), "c++")
    here = taken_away(tmp_path / "gpamap")
    command = ["make", "check", f"CC={cc}", f"CXX={cxx_of(cc)}"]
    assert said(command, cwd=here).count(": good with ") == 2 * len(EXAMPLES)
    (here / "examples" / "device.c.expected").write_text("something else\n")
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode != 0 and "something else" in done.stdout


def test_the_tools_of_another_processor_have_names_that_begin_alike(tmp_path: Path) -> None:
    """Here with those of this processor, which have such names too."""
    here = taken_away(tmp_path / "gpamap")
    machine = said(["gcc", "-dumpmachine"]).strip()
    printed = said(["make", "check", f"CROSS_COMPILE={machine}-", "RUN=env"], cwd=here)
    assert f"{machine}-gcc " in printed and f"{machine}-objcopy " in printed and f"{machine}-ar " in printed
    assert printed.count(": good with ") == 2 * len(EXAMPLES)
