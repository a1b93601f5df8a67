"""The kernel's source files: fetched from the distribution's source package, or from a directory of the user's.

As with kernels (`conformance.targets.linux.fetch`), mirror and keys are the machine's, lists and files live in the
cache directory, and a run needs no network once the files are there. Only the files that are compiled are kept, as
`sources/<package>_<version>_<checksum>/`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from conformance.target import TargetUnavailable
from conformance.targets.linux.cache import cache_directory, cache_lock
from conformance.targets.linux.fetch import DOWNLOAD_SECONDS, Apt, AptFailed, Distribution, Package
from conformance.targets.linux.sources import debian_mirror, machine_sources

UNPACK_SECONDS = 600
OWN_SOURCE = "GPASPEC_LINUX_SOURCE"  # environment: a directory with the sources of a kernel, in place of any package

VERSIONS: dict[str, Distribution] = {
    "5.10": Distribution("bullseye", "linux-source-5.10", True),
    "6.1": Distribution("bookworm", "linux-source-6.1", True),
    "6.12": Distribution("trixie", "linux-source-6.12", True),
    "7.2": Distribution("sid", "linux-source-7.2", False),
}

# What is compiled, and the headers that come with it. All other headers are replaced by `shim.h`.
CODE = (
    "drivers/vhost/vhost.c",
    "drivers/vhost/vhost.h",
    "drivers/vhost/net.c",
    "drivers/vhost/iotlb.c",
    "lib/rbtree.c",
)
HEADERS = (
    "include/linux/rbtree.h",
    "include/linux/rbtree_augmented.h",
    "include/linux/interval_tree_generic.h",
    "include/linux/vhost_iotlb.h",
    "include/uapi/linux/vhost.h",
    "include/uapi/linux/vhost_types.h",
    "include/uapi/linux/virtio_ring.h",
    "include/uapi/linux/virtio_config.h",
    "include/uapi/linux/virtio_net.h",
)
SOME_HEADERS = ("include/linux/rbtree_types.h",)  # that not all versions have


@dataclass(frozen=True)
class Sources:
    """The files of one kernel: where they are (laid out as in the kernel's tree), and what they are."""

    directory: Path
    description: str


def sources_for(version: str, own: Path | None = None) -> Sources:
    """The files of this version: from `own` if it is given, from $GPASPEC_LINUX_SOURCE if that is of this version, from
    the cache if they are there, else fetched. Raises TargetUnavailable with one sentence when they cannot be had.
    """
    if own is None:
        own = named_source(version)
    if own is not None:
        missing = [name for name in (*CODE, *HEADERS) if not (own / name).is_file()]
        if missing:
            raise TargetUnavailable(f"{own} is no directory with a kernel's sources: it has no {missing[0]}")
        return Sources(own, f"Linux {version_of_tree(own)} in {own}")
    if version not in VERSIONS:
        raise TargetUnavailable(
            f"no sources of a kernel {version!r} are known (known: {', '.join(VERSIONS)}); "
            f"name a directory with a kernel's sources in ${OWN_SOURCE}"
        )
    with cache_lock(f"source-{version}"):
        return cached_sources(version) or download(version)


def named_source(version: str) -> Path | None:
    """The directory that the environment names, if it has the sources of this version."""
    named = os.environ.get(OWN_SOURCE, "")
    return Path(named) if named and version_of_tree(Path(named)).startswith(f"{version}.") else None


def version_of_tree(directory: Path) -> str:
    """What a tree's Makefile says that it is: 6.1.192, for example. Nothing where there is no Makefile."""
    try:
        lines = (directory / "Makefile").read_text().splitlines()[:10]
    except OSError:
        return ""
    said = dict(line.replace(" ", "").split("=", 1) for line in lines if "=" in line)
    return ".".join(said.get(name, "?") for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL"))


def sources_directory() -> Path:
    return cache_directory("sources")


def cached_sources(version: str) -> Sources | None:
    """The files of this version that were fetched last and are complete, or None."""
    try:
        name = json.loads((sources_directory() / f"{version}.json").read_text())["directory"]
        directory = sources_directory() / name
        described = json.loads((directory / "source.json").read_text())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not is_complete(directory):
        return None
    return Sources(directory, described["description"])


def is_complete(directory: Path) -> bool:
    """Whether all that every version has is there."""
    return all((directory / name).is_file() for name in (*CODE, *HEADERS, "source.json"))


def download(version: str) -> Sources:
    """Fetch the newest source package of a version into the cache."""
    distribution = VERSIONS[version]
    otherwise = f"or name a directory with a kernel's sources in ${OWN_SOURCE}"
    for tool in ("apt-get", "apt-cache", "dpkg-deb", "tar", "xz"):
        if shutil.which(tool) is None:
            raise TargetUnavailable(
                f"the sources of {version} are fetched with {tool}, which is not here: use Debian, {otherwise}"
            )
    mirror = debian_mirror(machine_sources())
    if mirror is None:
        raise TargetUnavailable(
            f"this machine's apt has no Debian mirror to fetch the sources of {version} from: {otherwise}"
        )
    try:
        with cache_lock(f"apt-{distribution.suite}"):
            apt = Apt(distribution, mirror)
            apt.update()
            return unpack(version, apt, apt.show(distribution.package))
    except subprocess.TimeoutExpired as late:
        raise TargetUnavailable(
            f"the sources of {version} did not arrive within {late.timeout:.0f} s: try again, {otherwise}"
        ) from None
    except AptFailed as failed:
        raise TargetUnavailable(
            f"the sources of {version} are not in the cache ({sources_directory()}) and cannot be fetched from "
            f"{mirror.uri} ({failed}): connect to the network once, {otherwise}"
        ) from None
    except (OSError, subprocess.CalledProcessError) as error:
        raise TargetUnavailable(
            f"the sources of {version} cannot be unpacked in {sources_directory()} ({error}): make room there, "
            f"{otherwise}"
        ) from None


def unpack(version: str, apt: Apt, package: Package) -> Sources:
    """Download the package and keep what is needed of it; whole or not at all."""
    name = f"{package.name}_{package.version}_{package.sha256[:16]}".replace("/", "_").replace(":", "_")
    directory = sources_directory() / name
    if not is_complete(directory):
        with tempfile.TemporaryDirectory(dir=sources_directory(), prefix="unpack-") as scratch:
            work = Path(scratch)
            apt.run(["apt-get", "download", f"{package.name}={package.version}"], DOWNLOAD_SECONDS, cwd=work)
            archives = list(work.glob("*.deb"))
            if len(archives) != 1:
                raise AptFailed(f"apt-get left {len(archives)} packages")
            ready = work / "ready"
            ready.mkdir()
            take_files(archives[0], package.name, ready)
            described = {
                "description": f"Debian {apt.distribution.suite} {package.name} {package.version}",
                "package": {"name": package.name, "version": package.version, "sha256": package.sha256},
            }
            (ready / "source.json").write_text(json.dumps(described, indent=1))
            shutil.rmtree(directory, ignore_errors=True)
            ready.rename(directory)
    pointer = sources_directory() / f"{version}.json"
    temporary = pointer.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps({"directory": directory.name}))
    temporary.rename(pointer)
    found = cached_sources(version)
    if found is None:
        raise AptFailed(f"{package.name} has not all of the files that are needed")
    return found


def take_files(archive: Path, package: str, ready: Path) -> None:
    """Take the files that are compiled out of the kernel's tar file that the package has in it."""
    inner = f"./usr/src/{package}.tar.xz"
    wanted = [f"{package}/{name}" for name in (*CODE, *HEADERS, *SOME_HEADERS)]
    outer = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE)
    middle = subprocess.Popen(["tar", "-xO", inner], stdin=outer.stdout, stdout=subprocess.PIPE)
    try:
        # A file that a version does not have makes tar complain after it has taken all others: `cached_sources` looks
        # whether those that are needed are there.
        subprocess.run(
            ["tar", "-xJ", "--strip-components=1", "-C", str(ready), *wanted],
            stdin=middle.stdout,
            stderr=subprocess.DEVNULL,
            timeout=UNPACK_SECONDS,
            check=False,
        )
    finally:
        for process in (outer, middle):
            if process.stdout is not None:
                process.stdout.close()
            process.kill()
            process.wait()
