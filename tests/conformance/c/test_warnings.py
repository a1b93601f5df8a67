"""No compiler warns of the library or its headers: gcc and clang, all levels of optimization, 64 and 32 bits, C++."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.targets.c import build

from .compilers import BUILDS, LEVELS, cxx_of, need, said

pytestmark = pytest.mark.slow

# Not among them: -Wpadded and -Waggregate-return, which warn of what is meant.
STRICT = (
    "-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes "
    "-Wold-style-definition -Wredundant-decls -Wnested-externs -Wundef -Wvla -Wcast-align -Wcast-qual "
    "-Wwrite-strings -Wpointer-arith -Wformat=2 -Wdouble-promotion -Wnull-dereference -Wswitch-enum -Wdate-time"
)
ONE_COMPILER = {
    "gcc": "-Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wjump-misses-init -Wcast-align=strict",
    "clang": "-Wcomma -Wassign-enum -Wconditional-uninitialized -Wover-aligned -Watomic-alignment -Wunreachable-code",
}
CXX_STRICT = (
    "-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wold-style-cast -Wcast-align "
    "-Wcast-qual -Wzero-as-null-pointer-constant -Wnon-virtual-dtor -Wextra-semi"
)
HEADERS = sorted(header.name for header in (build.HERE / "include").glob("*.h"))
C_STANDARDS = ("c11", "c17", "c2x")
CXX_STANDARDS = ("c++17", "c++11", "c++20")


def warnings(command: list[str], files: list[Path]) -> list[str]:
    """What a compiler says of files, each compiled by itself, as users compile them."""
    each = [said([*command, "-c", str(file), "-o", "/dev/null"]) for file in files]
    return [
        f"{file}: ended with {code}\n{words}" for file, (code, words) in zip(files, each, strict=True) if code or words
    ]


def strict_c(cc: str) -> list[str]:
    return [*need(cc), *STRICT.split(), *ONE_COMPILER[cc.split()[0]].split(), f"-I{build.HERE / 'include'}"]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("cc", BUILDS)
def test_no_compiler_warns_of_the_library(cc: str, level: str) -> None:
    assert warnings([*strict_c(cc), "-std=c11", level, "-fPIC"], build.sources()) == []


@pytest.mark.parametrize("cc", BUILDS)
def test_no_compiler_warns_of_the_examples(cc: str) -> None:
    examples = sorted((build.HERE / "examples").glob("*.c"))
    assert examples and warnings([*strict_c(cc), "-std=c11", "-O2"], examples) == []


MISTAKES = {
    "narrowing": "unsigned narrow(unsigned long long x);\nunsigned narrow(unsigned long long x) { return x; }\n",
    "sign": "unsigned sign(int x);\nunsigned sign(int x) { return x; }\n",
    "no prototype": "int nobody_declares_this(void) { return 0; }\n",
    "shadow": "int shadow(int x);\nint shadow(int x) { { int x = 1; (void)x; } return x; }\n",
    "alignment": "int *cast(char *x);\nint *cast(char *x) { return (int *)x; }\n",
    "VLA": "int vla(int x);\nint vla(int x) { char a[x]; a[0] = 1; return a[0]; }\n",
    "undefined macro": "#if NOBODY_DEFINES_THIS\n#endif\ntypedef int t;\n",
}


@pytest.mark.parametrize("cc", BUILDS)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_warned_of(mistake: str, cc: str, tmp_path: Path) -> None:
    """Else that nobody warns would say nothing."""
    wrong = tmp_path / "wrong.c"
    wrong.write_text(MISTAKES[mistake])
    assert warnings([*strict_c(cc), "-std=c11", "-O2"], [wrong]) != []


# ---- The headers ----


def including(headers: list[str], suffix: str, at: Path) -> Path:
    """A file that includes these headers and calls a function of each."""
    calls = "".join(f"\t{CALLS[header]}\n" for header in dict.fromkeys(headers))
    user = at / f"user{suffix}"
    includes = "".join(f'#include "{header}"\n' for header in headers)
    user.write_text(f"{includes}int main({'void' if suffix == '.c' else ''})\n{{\n{calls}\treturn 0;\n}}\n")
    return user


CALLS = {"gpamap.h": "gpamap_destroy(NOTHING);", "gpamap_vhost.h": "gpamap_device_destroy(NOTHING);"}
ORDERS = [*([one] for one in HEADERS), HEADERS, HEADERS[::-1], HEADERS * 2]


@pytest.mark.parametrize("headers", ORDERS, ids="+".join)
@pytest.mark.parametrize("standard", C_STANDARDS)
@pytest.mark.parametrize("cc", BUILDS)
def test_the_headers_are_c(cc: str, standard: str, headers: list[str], tmp_path: Path) -> None:
    """Each by itself, in any order, twice."""
    command = [*strict_c(cc), f"-std={standard}", "-DNOTHING=0"]
    assert warnings(command, [including(headers, ".c", tmp_path)]) == []


@pytest.mark.parametrize("headers", ORDERS, ids="+".join)
@pytest.mark.parametrize("standard", CXX_STANDARDS)
@pytest.mark.parametrize("cc", BUILDS)
def test_the_headers_are_cxx(cc: str, standard: str, headers: list[str], tmp_path: Path) -> None:
    cxx = [*need(cxx_of(cc), "c++"), *CXX_STRICT.split(), f"-I{build.HERE / 'include'}"]
    user = including(headers, ".cc", tmp_path)
    assert warnings([*cxx, f"-std={standard}", "-DNOTHING=nullptr"], [user]) == []


@pytest.mark.parametrize("cc", BUILDS)
def test_a_cxx_program_links_with_the_c_library(cc: str, tmp_path: Path) -> None:
    library = tmp_path / "libgpamap.so"
    include = f"-I{build.HERE / 'include'}"
    files = map(str, build.sources())
    made = said([*need(cc), "-std=c11", "-shared", "-fPIC", include, *files, "-o", str(library)])
    assert made == (0, "")
    user = including(HEADERS, ".cc", tmp_path)
    cxx = [*need(cxx_of(cc), "c++"), "-std=c++17", "-DNOTHING=nullptr", include]
    program = tmp_path / "user"
    assert said([*cxx, str(user), str(library), "-o", str(program)]) == (0, "")
    assert said([str(program)]) == (0, "")
