"""The kernel's files that contestants are built around: from the distribution's source package, in the cache.

The vhost code's files are those of the linux-source target. The maple tree is taken out of the same package, which is
fetched once more for it.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from conformance.target import TargetUnavailable
from conformance.targets.linux.cache import cache_directory, cache_lock
from conformance.targets.linux.fetch import DOWNLOAD_SECONDS, Apt, AptFailed
from conformance.targets.linux.sources import debian_mirror, machine_sources
from conformance.targets.linux_source.build import leave_out_other_headers
from conformance.targets.linux_source.sources import UNPACK_SECONDS, VERSIONS, Sources, sources_for

VERSION = "6.1"
SHIM = Path(__file__).parents[2] / "conformance" / "targets" / "linux_source" / "shim.h"
TREES = (
    "drivers/vhost/iotlb.c",
    "lib/rbtree.c",
    "include/linux/rbtree.h",
    "include/linux/rbtree_types.h",
    "include/linux/rbtree_augmented.h",
    "include/linux/interval_tree_generic.h",
    "include/linux/vhost_iotlb.h",
)
MAPLE = ("lib/maple_tree.c", "include/linux/maple_tree.h")


@dataclass(frozen=True)
class Tree:
    """Where the files are, and what kernel they are of."""

    include: Path
    code: Path
    description: str


@cache
def trees() -> Tree:
    """The files of red-black tree and interval tree. Raises TargetUnavailable."""
    return laid_out(sources_for(VERSION), TREES)


@cache
def maple() -> Tree:
    """The maple tree's files. Raises TargetUnavailable."""
    found = sources_for(VERSION)
    if all((found.directory / name).is_file() for name in MAPLE):  # a directory of the user's
        return laid_out(found, MAPLE)
    with cache_lock("bench-maple"):
        return laid_out(cached_maple() or fetched_maple(), MAPLE)


def laid_out(sources: Sources, names: Sequence[str]) -> Tree:
    """The files, unmodified, and an empty file for each header that they include and that is not among them."""
    digest = hashlib.sha256(SHIM.read_bytes())
    for name in names:
        digest.update((sources.directory / name).read_bytes())
    place = cache_directory("bench") / f"kernel-{digest.hexdigest()[:24]}"
    with cache_lock("bench-kernel"):
        if not place.exists():
            unfinished = place.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            (unfinished / "include" / "linux").mkdir(parents=True)
            (unfinished / "code").mkdir()
            for name in names:
                below = unfinished / ("include/linux" if name.startswith("include/") else "code")
                shutil.copyfile(sources.directory / name, below / Path(name).name)
            leave_out_other_headers(unfinished / "include", unfinished / "code")
            unfinished.rename(place)
    return Tree(place / "include", place / "code", sources.description)


def maple_directory() -> Path:
    return cache_directory("bench", f"maple-{VERSION}")


def cached_maple() -> Sources | None:
    directory = maple_directory()
    try:
        described = json.loads((directory / "source.json").read_text())["description"]
    except (OSError, ValueError, KeyError):
        return None
    return Sources(directory, described) if all((directory / name).is_file() for name in MAPLE) else None


def fetched_maple() -> Sources:
    """Fetch the newest source package, and keep the maple tree of it. Raises TargetUnavailable."""
    distribution = VERSIONS[VERSION]
    mirror = debian_mirror(machine_sources())
    try:
        if mirror is None or shutil.which("dpkg-deb") is None:
            raise AptFailed("this machine's apt has no Debian mirror")
        apt = Apt(distribution, mirror)
        apt.update()
        package = apt.show(distribution.package)
        with tempfile.TemporaryDirectory(dir=cache_directory("bench"), prefix="unpack-") as scratch:
            work = Path(scratch)
            apt.run(["apt-get", "download", f"{package.name}={package.version}"], DOWNLOAD_SECONDS, cwd=work)
            (archive,) = work.glob("*.deb")
            files = " ".join(f"{package.name}/{name}" for name in MAPLE)
            if re.search(r"[^\w./ +-]", files):
                raise AptFailed(f"{package.name} is no name for a package")
            pipe = (
                f"dpkg-deb --fsys-tarfile '{archive}' | tar -xO ./usr/src/{package.name}.tar.xz"
                f" | tar -xJ --strip-components=1 -C '{maple_directory()}' {files}"
            )
            subprocess.run(["bash", "-c", pipe], check=False, timeout=UNPACK_SECONDS, capture_output=True)
        described = {"description": f"Debian {distribution.suite} {package.name} {package.version}"}
        (maple_directory() / "source.json").write_text(json.dumps(described))
    except (AptFailed, OSError, ValueError, subprocess.SubprocessError) as error:
        raise TargetUnavailable(
            f"the maple tree cannot be fetched ({error}): connect to the network once, or name a directory with the "
            f"sources of a kernel {VERSION} in $GPASPEC_LINUX_SOURCE"
        ) from None
    found = cached_maple()
    if found is None:
        raise TargetUnavailable(f"the package {distribution.package} has no maple tree in it")
    return found
