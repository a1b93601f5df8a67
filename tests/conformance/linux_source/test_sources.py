"""Where the kernel's files come from, and what is said when they cannot be had."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conformance.target import TargetUnavailable
from conformance.targets.linux import fetch
from conformance.targets.linux.sources import Source
from conformance.targets.linux_source import sources
from conformance.targets.linux_source.build import differences, leave_out_other_headers
from conformance.targets.linux_source.sources import CODE, HEADERS, Sources, cached_sources, sources_for, take_files
from conformance.targets.linux_source.target import LinuxSource


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(sources.OWN_SOURCE, raising=False)


def tree(directory: Path, version: str = "6.1.5") -> Path:
    """A directory that looks like a kernel's."""
    for name in (*CODE, *HEADERS):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text("")
    numbers = version.split(".")
    (directory / "Makefile").write_text(
        f"# SPDX\nVERSION = {numbers[0]}\nPATCHLEVEL = {numbers[1]}\nSUBLEVEL = {numbers[2]}\nNAME = x = y\n"
    )
    return directory


def test_a_directory_of_the_users_is_taken_as_it_is(tmp_path: Path) -> None:
    own = tree(tmp_path / "linux")
    found = sources_for("6.1", own)
    assert found == Sources(own, f"Linux 6.1.5 in {own}")


def test_a_directory_without_the_files_says_which_is_missing(tmp_path: Path) -> None:
    with pytest.raises(TargetUnavailable, match=r"it has no drivers/vhost/vhost\.c"):
        sources_for("6.1", tmp_path)


def test_a_directory_named_in_the_environment_is_taken_for_its_own_version_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tree(tmp_path / "linux", "6.12.9")
    monkeypatch.setenv(sources.OWN_SOURCE, str(own))
    monkeypatch.setattr(sources, "download", lambda version: Sources(tmp_path, f"fetched {version}"))
    assert sources_for("6.12").directory == own
    assert sources_for("6.1").description == "fetched 6.1"


def test_a_machine_without_debian_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "machine_sources", list)
    with pytest.raises(
        TargetUnavailable, match=r"no Debian mirror to fetch the sources of 6\.1 from: or name a directory"
    ):
        sources_for("6.1")


def test_a_machine_without_the_tools_is_told_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda tool: None if tool == "dpkg-deb" else f"/bin/{tool}")
    with pytest.raises(TargetUnavailable, match="fetched with dpkg-deb, which is not here"):
        sources_for("6.1")


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(TargetUnavailable, match=r"no sources of a kernel '4\.4' are known \(known: 5\.10, 6\.1"):
        sources_for("4.4")
    with pytest.raises(TargetUnavailable, match=r"known: 5\.10"):
        LinuxSource("4.4")


def test_only_the_files_that_are_compiled_are_taken_out_of_a_package(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:xz") as archive:
        for name in (*CODE, *HEADERS, "drivers/other.c"):
            content = name.encode()
            info = tarfile.TarInfo(f"linux-source-6.1/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    package = tmp_path / "package"
    (package / "usr/src").mkdir(parents=True)
    (package / "usr/src/linux-source-6.1.tar.xz").write_bytes(inner.getvalue())
    (package / "DEBIAN").mkdir()
    (package / "DEBIAN/control").write_text(
        "Package: linux-source-6.1\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
    )
    built = tmp_path / "linux-source.deb"
    subprocess.run(["dpkg-deb", "--build", str(package), str(built)], check=True, capture_output=True, timeout=60)
    ready = tmp_path / "ready"
    ready.mkdir()
    take_files(built, "linux-source-6.1", ready)
    taken = {str(path.relative_to(ready)) for path in ready.rglob("*") if path.is_file()}
    assert taken == {*CODE, *HEADERS}
    assert (ready / "lib/rbtree.c").read_text() == "lib/rbtree.c"


def test_what_is_cached_and_not_complete_is_not_there(tmp_path: Path) -> None:
    directory = sources.sources_directory()
    tree(directory / "some")
    (directory / "some" / "source.json").write_text(json.dumps({"description": "Debian"}))
    (directory / "6.1.json").write_text(json.dumps({"directory": "some"}))
    assert cached_sources("6.1") == Sources(directory / "some", "Debian")
    (directory / "some" / "lib/rbtree.c").unlink()
    assert cached_sources("6.1") is None


def test_two_downloads_from_one_suite_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    class SlowApt:
        def __init__(self, distribution: fetch.Distribution, mirror: Source) -> None:
            seen.append(f"begins {distribution.suite}")

        def update(self) -> None:
            time.sleep(0.3)
            seen.append("ends")
            raise fetch.AptFailed("no network")

    def ask(download: Callable[[str], object]) -> None:
        with pytest.raises(TargetUnavailable, match="no network"):
            download("6.1")

    monkeypatch.setattr(shutil, "which", lambda tool: f"/bin/{tool}")
    for module in (fetch, sources):
        monkeypatch.setattr(module, "Apt", SlowApt)
        monkeypatch.setattr(module, "debian_mirror", lambda _: Source("http://mirror.example", (), (), ""))
    with ThreadPoolExecutor() as pool:
        list(pool.map(ask, (fetch.download, sources.download)))
    assert seen == ["begins bookworm", "ends"] * 2


def test_differences_are_found_by_words_in_the_files(tmp_path: Path) -> None:
    own = tree(tmp_path / "linux")
    assert differences(Sources(own, "")) == []
    (own / "drivers/vhost/vhost.h").write_text("struct vhost_worker {\n};\nvoid vhost_clear_device_iotlb(void);\n")
    assert differences(Sources(own, "")) == ["HAS_WORKERS", "HAS_CLEAR_IOTLB"]


def test_headers_that_are_not_taken_are_empty_and_those_that_are_stay(tmp_path: Path) -> None:
    include, code = tmp_path / "include", tmp_path / "code"
    (include / "linux").mkdir(parents=True)
    code.mkdir()
    (include / "linux/rbtree.h").write_text("#include <linux/types.h>\n")
    (code / "vhost.c").write_text("#include <linux/rbtree.h>\n#include <net/sock.h>\n#include <stddef.h>\n")
    leave_out_other_headers(include, code)
    assert (include / "linux/rbtree.h").read_text() != ""
    assert (include / "linux/types.h").read_text() == (include / "net/sock.h").read_text() == ""
    assert not (include / "stddef.h").exists()
