"""Kernel modules: every way to pack them, and the user's own in place of the distribution's."""

from __future__ import annotations

import gzip
import lzma
import shutil
import subprocess
from pathlib import Path

import pytest

from conformance.backings import place
from conformance.target import Results, TargetFailed, TargetUnavailable, Trial
from conformance.targets.linux.fetch import Kernel, kernel_for
from conformance.targets.linux.modules import in_load_order, index, load, of_another_release, release_of, unpacked
from conformance.targets.linux.vm import LinuxVm
from spec.memslots.set_region import SetRegion
from spec.outcome import Done

TRIAL = Trial("t0", (SetRegion(slot=0, gpa=0, size=0x1000, hva=place("A", 0)),))


def kernel_or_skip(version: str) -> Kernel:
    try:
        kernel = kernel_for(version)
    except TargetUnavailable as missing:
        pytest.skip(f"the modules of {version} cannot be had: {missing}")
    assert kernel.modules is not None
    return kernel


def module_of(version: str, name: str) -> Path:
    modules = kernel_or_skip(version).modules
    assert modules is not None
    return index(modules)[name]


@pytest.mark.slow
def test_however_a_module_is_packed_it_is_the_same(tmp_path: Path) -> None:
    module = module_of("6.1", "irqbypass")
    plain = unpacked(module)
    (tmp_path / "irqbypass.ko").write_bytes(plain)
    (tmp_path / "irqbypass.ko.gz").write_bytes(gzip.compress(plain))
    (tmp_path / "irqbypass.ko.xz").write_bytes(lzma.compress(plain))
    zstd = shutil.which("zstd")
    assert zstd, "install zstd"
    subprocess.run([zstd, "-q", str(tmp_path / "irqbypass.ko")], check=True, timeout=30)
    assert (tmp_path / "irqbypass.ko.zst").read_bytes()[:4] == bytes.fromhex("28b52ffd")
    loaded = [load(path) for path in sorted(tmp_path.iterdir())]
    assert len(loaded) == 4
    assert {(one.name, one.image, one.depends, one.version) for one in loaded} == {
        ("irqbypass", plain, (), release_of(kernel_or_skip("6.1").image))
    }


@pytest.mark.parametrize("name", ["kvm.ko", "kvm.ko.xz", "kvm.ko.gz", "kvm.ko.zst"])
def test_a_broken_module_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x7fELF\x02\x01 broken")
    with pytest.raises(TargetUnavailable, match=rf"{name} is not a kernel module"):
        load(tmp_path / name)


def test_without_zstd_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kvm.ko.zst").write_bytes(b"")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TargetUnavailable, match="apt-get install zstd"):
        load(tmp_path / "kvm.ko.zst")


def test_a_file_that_is_no_kernel_has_no_release(tmp_path: Path) -> None:
    for content in (b"", b"\0" * 0x1000, b"\0" * 0x202 + b"HdrS", b"\0" * 0x202 + b"HdrS" + b"\xff" * 0x100):
        (tmp_path / "image").write_bytes(content)
        assert release_of(tmp_path / "image") == ""
        assert of_another_release([load(module_of("6.1", "irqbypass"))], tmp_path / "image") == ""


def test_modules_of_the_kernels_own_release_are_no_misfits() -> None:
    kernel = kernel_or_skip("6.1")
    assert kernel.modules is not None
    modules = in_load_order(("kvm_amd",), index(kernel.modules))
    assert [one.name for one in modules] == ["irqbypass", "kvm", "kvm_amd"]
    assert of_another_release(modules, kernel.image) == ""


@pytest.mark.vm
@pytest.mark.slow
def test_one_module_of_yours_takes_the_place_of_the_distributions(tmp_path: Path) -> None:
    (tmp_path / "kvm.ko").write_bytes(unpacked(module_of("6.1", "kvm")))
    release = release_of(kernel_or_skip("6.1").image)
    target = LinuxVm("6.1", modules=tmp_path)
    try:
        facts = target.start().facts
        assert facts["own_modules"] == f"kvm from {tmp_path}/kvm.ko (built for {release})"
        assert facts["modules"] == "irqbypass kvm kvm_amd tun tap vhost_iotlb vhost vhost_net"
        assert next(iter(target.run([TRIAL]))) == Results("t0", (Done(),))
    finally:
        target.stop()


@pytest.mark.vm
@pytest.mark.slow
def test_a_kernel_with_all_of_its_modules(tmp_path: Path) -> None:
    kernel = kernel_or_skip("6.1")
    target = LinuxVm(kernel=kernel.image, modules=kernel.modules)
    try:
        target.start()
        assert next(iter(target.run([TRIAL]))) == Results("t0", (Done(),))
    finally:
        target.stop()


def test_a_broken_module_of_yours_is_not_passed_over(tmp_path: Path) -> None:
    kernel_or_skip("6.1")
    (tmp_path / "kvm.ko").write_bytes(b"\x7fELF\x02\x01 broken")
    target = LinuxVm("6.1", modules=tmp_path)
    try:
        with pytest.raises(TargetUnavailable, match=r"kvm\.ko is not a kernel module"):
            target.start()
    finally:
        target.stop()


@pytest.mark.vm
def test_a_module_of_another_release_is_refused_with_both_releases(tmp_path: Path) -> None:
    shutil.copyfile(module_of("6.12", "kvm"), tmp_path / "kvm.ko.xz")
    ours, theirs = release_of(kernel_or_skip("6.1").image), release_of(kernel_or_skip("6.12").image)
    target = LinuxVm("6.1", modules=tmp_path)
    try:
        with pytest.raises(TargetFailed) as caught:
            target.start()
    finally:
        target.stop()
    first = str(caught.value).splitlines()[0]
    assert "kvm.ko cannot be loaded" in first
    assert f"kvm.ko.xz was built for Linux {theirs}; this kernel is {ours}" in first and ours != theirs
