"""Getting a kernel: whose mirror is asked, what is kept, and one sentence when there is nothing to be had."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conformance.target import TargetUnavailable
from conformance.targets.linux import fetch, sources
from conformance.targets.linux.cache import cache_directory
from conformance.targets.linux.elf import NotAModule, modinfo
from conformance.targets.linux.modules import module_name

DEB822 = """Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/example.gpg

Types: deb
URIs: http://mirror.example/debian-security/
Suites: bookworm-security
Components: main

Types: deb-src
URIs: http://sources.example/debian
Suites: bookworm
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
"""


def test_both_forms_of_apt_sources_are_read(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text(
        "deb [arch=amd64 signed-by=/k.gpg] http://one.example/other x main # http://no.example/debian\n#deb a b c\n"
    )
    (parts / "debian.sources").write_text(DEB822)
    (parts / "ignored.txt").write_text("deb http://no.example/debian x main\n")
    found = sources.machine_sources(tmp_path)
    assert [source.uri for source in found] == [
        "http://one.example/other",
        "http://mirror.example/debian",
        "http://mirror.example/debian-security",
    ]
    assert found[0].signed_by == "/k.gpg"
    mirror = sources.debian_mirror(found)
    assert mirror is not None and mirror.signed_by == "/usr/share/keyrings/example.gpg"
    security = sources.security_mirror(found)
    assert security is not None and security.uri.endswith("-security")
    assert sources.debian_mirror(found[:1]) is None


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_the_cache_is_where_xdg_says(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_directory("kernels") == empty_cache / "gpaspec" / "kernels"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(empty_cache))
    assert cache_directory() == empty_cache / ".cache" / "gpaspec"


@pytest.mark.slow
def test_without_network_and_cache_one_sentence_says_what_to_do(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A port that nothing listens on: refused at once, as a machine without network would be.
    nowhere = sources.Source("http://127.0.0.1:9/debian", ("bookworm",), ("main",), "")
    monkeypatch.setattr(fetch, "machine_sources", lambda: [nowhere])
    with pytest.raises(TargetUnavailable) as caught:
        fetch.kernel_for("6.1")
    text = str(caught.value)
    assert "--kernel" in text and "network" in text and str(empty_cache) in text
    assert "\n" not in text


def test_on_a_machine_that_is_not_debian(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "machine_sources", list)
    with pytest.raises(TargetUnavailable, match="no Debian mirror"):
        fetch.kernel_for("6.1")


def test_what_is_in_the_cache_needs_no_network(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = cache_directory("kernels")
    (kernels / "k_1_ab" / "modules").mkdir(parents=True)
    (kernels / "6.1.json").write_text(json.dumps({"directory": "k_1_ab"}))
    (kernels / "k_1_ab" / "kernel.json").write_text(json.dumps({"description": "a kernel"}))
    monkeypatch.setattr(fetch, "machine_sources", list)
    with pytest.raises(TargetUnavailable):  # half a kernel is none
        fetch.kernel_for("6.1")
    (kernels / "k_1_ab" / "vmlinuz").write_bytes(b"image")
    assert fetch.kernel_for("6.1").description == "a kernel"
    (kernels / "6.1.json").write_text("{ not json")
    with pytest.raises(TargetUnavailable):
        fetch.kernel_for("6.1")


def test_an_unknown_version_names_the_known_ones() -> None:
    with pytest.raises(TargetUnavailable, match=r"5\.10, 6\.1, 6\.12, 7\.2"):
        fetch.kernel_for("4.2")


@pytest.mark.parametrize(
    "garbage", [b"", b"\x7fELF\x02\x01", b"\x7fELF\x01\x01" + b"\0" * 100, b"\x7fELF\x02\x01" + b"\xff" * 90]
)
def test_what_is_no_module_is_refused(garbage: bytes) -> None:
    with pytest.raises(NotAModule):
        modinfo(garbage)


def test_module_names() -> None:
    assert [module_name(Path(name)) for name in ("kvm-amd.ko", "a/tun.ko.xz", "vhost_net.ko.zst")] == [
        "kvm_amd",
        "tun",
        "vhost_net",
    ]
