"""Get CBMC, the bounded model checker: from PATH, or Debian's package, unpacked beside the machine's own libraries.

As with kernels (`conformance.targets.linux.fetch`), mirror and keys are the machine's, and a run needs no network once
the files are there. The package is of a later Debian than some that it has to run on, so the libraries that it was
built with come along, and it is started through its own loader. Kept is `cbmc/<package>_<version>_<checksum>/`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from conformance.target import TargetUnavailable
from conformance.targets.linux.cache import cache_directory, cache_lock
from conformance.targets.linux.fetch import DOWNLOAD_SECONDS, Apt, AptFailed, Distribution, Package
from conformance.targets.linux.sources import debian_mirror, machine_sources

DISTRIBUTION = Distribution("trixie", "cbmc", True)
LIBRARIES = ("minisat", "libc6", "libgcc-s1", "libstdc++6", "zlib1g")
LOADER = "ld-linux-x86-64.so.2"
OLDEST = 6  # the major version that the harnesses' flags are of
UNPACK_SECONDS = 120
START_SECONDS = 30
OTHERWISE = f"install cbmc {OLDEST} or later"


@dataclass(frozen=True)
class Cbmc:
    """CBMC ready to start: the beginning of its command line, and its version."""

    command: tuple[str, ...]
    version: str


def cbmc() -> Cbmc:
    """The CBMC on PATH if it is new enough, else the one in the cache, else the newest that the distribution has.

    Raises TargetUnavailable with one sentence when there is none.
    """
    if shutil.which("gcc") is None:
        raise TargetUnavailable("CBMC reads C through gcc's preprocessor: install gcc.")
    found = shutil.which("cbmc")
    if found is not None:
        own = started((found,))
        if own is not None and major(own.version) >= OLDEST:
            return own
    with cache_lock("cbmc"):
        return cached() or download()


def major(version: str) -> int:
    """The first number of a version; 0 if there is none."""
    match = re.match(r"\d+", version)
    return int(match.group()) if match else 0


def started(command: tuple[str, ...]) -> Cbmc | None:
    """What this command says that it is; None if it is no CBMC that runs here."""
    try:
        asked = subprocess.run(
            [*command, "--version"], capture_output=True, text=True, timeout=START_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if asked.returncode != 0 or not major(asked.stdout):
        return None
    return Cbmc(command, asked.stdout.split()[0])


def tools_directory() -> Path:
    return cache_directory("cbmc")


def cached() -> Cbmc | None:
    """The one that was fetched last and runs, or None."""
    try:
        directory = tools_directory() / json.loads((tools_directory() / "newest.json").read_text())["directory"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return in_directory(directory)


def in_directory(directory: Path) -> Cbmc | None:
    """The CBMC of an unpacked directory, started through the loader there; None if it is not whole."""
    loader = next(iter(sorted(directory.rglob(LOADER))), None)
    program = directory / "usr/bin/cbmc"
    if loader is None or not program.is_file():
        return None
    libraries = sorted({str(library.parent) for library in directory.glob("usr/lib/**/lib*.so*")})
    return started((str(loader), "--library-path", ":".join(libraries), str(program)))


def download() -> Cbmc:
    """Fetch CBMC and its libraries into the cache."""
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise TargetUnavailable(f"CBMC is fetched with {tool}, which is not here: use Debian, or {OTHERWISE}.")
    mirror = debian_mirror(machine_sources())
    if mirror is None:
        raise TargetUnavailable(f"This machine's apt has no Debian mirror to fetch CBMC from: {OTHERWISE}.")
    try:
        apt = Apt(DISTRIBUTION, mirror)
        apt.update()
        return unpack(apt, [apt.show(name) for name in (DISTRIBUTION.package, *LIBRARIES)])
    except subprocess.TimeoutExpired as late:
        raise TargetUnavailable(
            f"CBMC did not arrive within {late.timeout:.0f} s: try again, or {OTHERWISE}."
        ) from None
    except AptFailed as failed:
        raise TargetUnavailable(
            f"CBMC is not in the cache ({tools_directory()}) and cannot be fetched from {mirror.uri} ({failed}): "
            f"connect to the network once, or {OTHERWISE}."
        ) from None
    except (OSError, subprocess.CalledProcessError) as error:
        raise TargetUnavailable(
            f"CBMC cannot be unpacked in {tools_directory()} ({error}): make room there, or {OTHERWISE}."
        ) from None


def unpack(apt: Apt, packages: list[Package]) -> Cbmc:
    """Download the packages (apt verifies their checksums) and unpack them; whole or not at all."""
    main = packages[0]
    name = f"{main.name}_{main.version}_{main.sha256[:16]}".replace("/", "_").replace(":", "_")
    directory = tools_directory() / name
    if in_directory(directory) is None:
        with tempfile.TemporaryDirectory(dir=tools_directory(), prefix="unpack-") as scratch:
            work = Path(scratch)
            for package in packages:
                apt.run(["apt-get", "download", f"{package.name}={package.version}"], DOWNLOAD_SECONDS, cwd=work)
            for archive in work.glob("*.deb"):
                subprocess.run(
                    ["dpkg-deb", "-x", str(archive), str(work / "ready")], check=True, timeout=UNPACK_SECONDS
                )
            shutil.rmtree(directory, ignore_errors=True)
            (work / "ready").rename(directory)
    found = in_directory(directory)
    if found is None:
        raise AptFailed(f"{main.name} {main.version} does not start on this machine")
    pointer = tools_directory() / "newest.json"
    temporary = pointer.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps({"directory": name}))
    temporary.rename(pointer)
    return found
