"""Which targets a command line stands for: each by a name of its own, and nothing that was asked for left out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from conformance.cli import main
from conformance.running import plans_or_fail
from conformance.terminal import Failure

pytestmark = pytest.mark.slow  # each starts the command: not for the inner loop

BAD = Path(__file__).parent / "bad_adapter.py"


def check(tmp_path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["check", *arguments, "--out", str(tmp_path / "out")])


def images(tmp_path: Path, *names: str) -> list[str]:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return [str(tmp_path / name) for name in names]


def test_two_images_of_one_name_are_two_targets(tmp_path: Path) -> None:
    plans = plans_or_fail(["linux"], images(tmp_path, "a/bzImage", "b/bzImage"), None)
    assert [plan.name for plan in plans] == ["linux-own-a-bzImage", "linux-own-b-bzImage"]


def test_images_whose_paths_look_alike_are_two_targets(tmp_path: Path) -> None:
    plans = plans_or_fail(["linux"], images(tmp_path, "a b/bzImage", "a-b/bzImage"), None)
    assert len({plan.name for plan in plans}) == 2


def test_an_image_alone_is_named_after_its_file(tmp_path: Path) -> None:
    (plan,) = plans_or_fail(["linux"], images(tmp_path, "my [dear] bzImage"), None)
    assert plan.name == "linux-own-my-dear-bzImage"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("x=false", "x=true"), "x: named more than once"),
        (("c", "c"), "c: named more than once"),
        (("linux", "linux-6.1"), "linux-6.1: named more than once"),
        (("c", "c=false"), "'c', which is the name of a target of gpaspec itself"),
        (("linux-5.10=false",), "'linux-5.10', which is the name of a target of gpaspec itself"),
        (("model=false",), "'model', which is the name of a target of gpaspec itself"),
        (("../../evil=false",), "'../../evil', but a name has letters"),
        ((".hidden=false",), "'.hidden', but a name has letters"),
        (("=false",), "'', but a name has letters"),
        (("x=",), "adapter x has no command"),
        (("x=python3 'a",), "cannot be read: No closing quotation"),
        (("linux-6.1-own-modules",), "a kernel is named by its version"),
        (("linux-6.1", "--kernel", "bzImage"), "name the target `linux` as well"),
        (("c", "--kernel", "/nonexist"), "name the target `linux` as well"),
        (("linux", "--kernel", "six"), "'six' is neither the version of a kernel"),
        (("c", "--modules", "."), "this is no kernel in a virtual machine"),
        (("linux", "--modules", "."), "this is linux-6.1, linux-5.10"),
    ],
)
def test_what_cannot_be_meant_is_an_error(tmp_path: Path, arguments: tuple[str, ...], what: str) -> None:
    result = check(tmp_path, *arguments)
    assert result.exit_code == 2 and what in result.output, result.output
    assert not (tmp_path / "out").exists() and "Traceback" not in result.output


def test_an_image_that_is_named_twice_is_an_error(tmp_path: Path) -> None:
    (image,) = images(tmp_path, "bzImage")
    with pytest.raises(Failure, match="named twice"):
        plans_or_fail(["linux"], [image, f"{tmp_path}/../{tmp_path.name}/bzImage"], None)


def test_a_directory_is_no_image(tmp_path: Path) -> None:
    """What one builds a kernel in has the image in it."""
    with pytest.raises(Failure, match=r"is a directory: --kernel takes the image itself, such as .*/arch/x86/boot/"):
        plans_or_fail(["linux"], [str(tmp_path)], None)
    (image,) = images(tmp_path, "vmlinuz")
    with pytest.raises(Failure, match=f"such as {image}"):
        plans_or_fail(["linux"], [str(tmp_path)], None)


def test_modules_beside_one_kernel_are_its_own(tmp_path: Path) -> None:
    assert [p.name for p in plans_or_fail(["linux-6.1", "spec"], [], tmp_path)] == ["linux-6.1-own-modules", "spec"]
    assert [p.name for p in plans_or_fail(["linux"], ["6.1"], tmp_path)] == ["linux-6.1-own-modules"]
    assert len(plans_or_fail(["linux"], images(tmp_path, "bzImage"), tmp_path)) == 1


def test_modules_are_none_of_the_code_that_runs_beside_the_kernel(tmp_path: Path) -> None:
    """So that the main job, which runs the kernel's source as well, can have modules."""
    plans = plans_or_fail(["linux-source", "linux"], ["6.1"], tmp_path)
    assert [plan.name for plan in plans] == ["linux-source-6.1", "linux-source-5.10", "linux-6.1-own-modules"]


def test_an_adapter_may_not_call_itself_what_it_likes(tmp_path: Path) -> None:
    """Also where nobody said how it is called."""
    result = CliRunner().invoke(main, ["selftest", f"{sys.executable} {BAD} 'wrong name'"])
    assert result.exit_code == 2 and "the name of a target of gpaspec itself" in result.output
