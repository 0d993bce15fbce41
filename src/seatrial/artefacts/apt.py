"""Debian packages: downloaded and unpacked into the cache; nothing is installed into the system.

What the package needs and the machine does not have is unpacked beside it. Siblings of exactly the same version
(redis-server is a link into redis-tools) are unpacked also when the machine has them: the machine's may be another
version, or gone tomorrow.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seatrial.artefacts.cache import Entry, off_loop
from seatrial.artefacts.tool import Job, Ran, run
from seatrial.artefacts.trouble import MEGA, common, tail, unknown_version
from seatrial.artefacts.workshop import Workshop, key, label, options
from seatrial.errors import EnvironmentTrouble
from seatrial.params import Kind, Param
from seatrial.plan import Artefact
from seatrial.ports import Installed, Say

PARAMS = (
    Param(name="with", kind=Kind.TEXTS, default=(), help="more packages, name or name=version"),
    Param(name="depends", kind=Kind.FLAG, default=True, help="also unpack dependencies that this machine lacks"),
)
ROOM = 256 * MEGA
PINS_MOST = 50
BINARIES = ("usr/bin", "usr/sbin", "bin", "sbin", "usr/games")
ENV = {"DEBIAN_FRONTEND": "noninteractive"}


class Apt:
    """Provider of Debian packages (ports.Provider).

    Values: root, bin, sbin, path (all folders of executables, joined by ":"), lib (for LD_LIBRARY_PATH), version
    (of the Debian package), upstream (without epoch and revision), digest. The version asked for may be a prefix:
    "7.0" is the newest candidate whose upstream version begins so; an exact version wins.
    """

    def __init__(self, workshop: Workshop) -> None:
        """Install into this workshop's cache."""
        self._shop = workshop

    async def install(self, artefact: Artefact, say: Say) -> Installed:
        """Return the unpacked package.

        Raises UsageError for wrong options and EnvironmentTrouble with the next step for everything else.
        """
        wanted = options(artefact, PARAMS)
        job = Job(label=label(artefact), say=say, clock=self._shop.clock)
        question = key(package=artefact.package, version=artefact.version, options=wanted, machine=_machine())
        answer = self._shop.cache.recall("apt", question)
        if answer is None:
            version = await _choose(artefact, job)
            answer = [version, *await _resolve(artefact, version, wanted, job)]
            self._shop.cache.remember("apt", question, answer)
        version, *packages = answer
        name = f"{artefact.package}-{version.replace(':', '+')}-" + key(packages=packages)

        async def fill(tree: Path, job: Job) -> dict[str, str]:
            tree.mkdir()
            digest = await _download(tree, packages, job)
            return {"version": version, "upstream": upstream(version), "digest": digest}

        entry = await self._shop.cache.obtain("apt", name, fill, job, room=ROOM)
        return _installed(artefact, entry)


def _machine() -> list[int]:
    """Return what changes when the package lists or the installed packages change."""
    paths = ("/var/lib/apt/lists", "/var/lib/dpkg/status", "/etc/apt/sources.list", "/etc/apt/sources.list.d")
    return [Path(path).stat().st_mtime_ns if Path(path).exists() else 0 for path in paths]


def _installed(artefact: Artefact, entry: Entry) -> Installed:
    tree = entry.tree
    values = {
        "root": str(tree),
        "bin": str(tree / "usr/bin"),
        "sbin": str(tree / "usr/sbin"),
        "path": ":".join(str(tree / folder) for folder in BINARIES if (tree / folder).is_dir()),
        "lib": ":".join(map(str, _library_folders(tree))),
        **entry.facts,
    }
    return Installed(
        artefact=artefact,
        version=entry.facts["version"],
        digest=entry.facts["digest"],
        root=tree,
        values=values,
    )


def _library_folders(tree: Path) -> list[Path]:
    folders = [base for name in ("usr/lib", "lib") for base in (tree / name, *sorted((tree / name).glob("*-linux-*")))]
    return [folder for folder in folders if folder.is_dir() and any(folder.glob("*.so*"))]


def upstream(version: str) -> str:
    """Return a Debian version without its epoch and its Debian revision: 5:7.0.15-1~deb12u7 is 7.0.15."""
    return version.partition(":")[2].rpartition("-")[0] or version.rpartition("-")[0] or version.rpartition(":")[2]


def matches(wanted: str, version: str) -> bool:
    """Return whether a version is meant by the upstream version or a prefix of it that ends between its parts."""
    own = upstream(version)
    return own == wanted or (own.startswith(wanted) and not own[len(wanted) : len(wanted) + 1].isdigit())


async def _choose(artefact: Artefact, job: Job) -> str:
    ran = await run(["apt-cache", "madison", artefact.package], job)
    rows = [[field.strip() for field in line.split("|")] for line in ran.out.splitlines() if line.count("|") >= 2]
    known = list(dict.fromkeys(row[1] for row in rows if row[0] == artefact.package and "Sources" not in row[2]))
    if not known:
        raise EnvironmentTrouble(
            f"{job.label}: the package lists of this machine have no package {artefact.package!r}; "
            "run `apt-get update`, then check its spelling"
        )
    if artefact.version in known:
        return artefact.version
    if fitting := [version for version in known if matches(artefact.version, version)]:
        return await _newest(fitting, job)
    raise unknown_version(job.label, artefact.version, known, "apt on this machine")


async def _newest(versions: Sequence[str], job: Job) -> str:
    best = versions[0]
    for version in versions[1:]:
        if (await run(["dpkg", "--compare-versions", version, "gt", best], job)).code == 0:
            best = version
    return best


async def _resolve(artefact: Artefact, version: str, wanted: Mapping[str, Any], job: Job) -> list[str]:
    """Return what to download, as sorted name=version."""
    asked = [f"{artefact.package}={version}", *wanted["with"]]
    if not wanted["depends"]:
        return sorted(asked)
    pins = await _same_version_siblings(artefact.package, version, job)
    asked += [f"{name}={pinned}" for name, pinned in pins.items() if name not in {a.split("=")[0] for a in asked}]
    command = ["apt-get", "install", "--simulate", "--no-install-recommends", "--allow-downgrades", "-qq", *asked]
    ran = await run(command, job, env={**os.environ, **ENV})
    if ran.code != 0:
        raise _explain(ran, job)
    missing = re.findall(r"(?m)^Inst (\S+) (?:\[[^\]]*\] )?\((\S+) ", ran.out)
    chosen = {a.split("=")[0]: a for a in asked} | {name: f"{name}={found}" for name, found in missing}
    return sorted(chosen.values())


async def _same_version_siblings(package: str, version: str, job: Job) -> dict[str, str]:
    """Return the packages that this one needs in exactly one version, and what those need so, and so on."""
    pins, waiting = {package: version}, [package]
    while waiting and len(pins) < PINS_MOST:
        name = waiting.pop()
        ran = await run(["apt-cache", "show", f"{name}={pins[name]}"], job)
        depends = "\n".join(re.findall(r"(?m)^(?:Pre-)?Depends: (.*)$", ran.out))
        for other, exact in re.findall(r"([a-z0-9][a-z0-9+.-]+)(?::\w+)? \(= ([^)]+)\)", depends):
            if other not in pins:
                pins[other] = exact
                waiting.append(other)
    return pins


async def _download(tree: Path, packages: Sequence[str], job: Job) -> str:
    """Download and unpack; return sha256 over the sorted names, versions and hashes of the packages."""
    debs = tree.parent / "debs"
    debs.mkdir()
    job.tell(f"downloading with apt-get: {', '.join(packages)}")
    ran = await run(["apt-get", "download", "-q", *packages], job, doing="downloading with apt-get", cwd=debs)
    if ran.code != 0:
        raise _explain(ran, job, place=str(tree))
    total = hashlib.sha256()
    for deb in sorted(debs.glob("*.deb")):
        unpacked = await run(["dpkg-deb", "-x", str(deb), str(tree)], job, doing=f"unpacking {deb.name}")
        if unpacked.code != 0:
            raise _explain(unpacked, job, place=str(tree))
        content = await off_loop(deb.read_bytes)
        total.update(f"{deb.name} {hashlib.sha256(content).hexdigest()}\n".encode())
    shutil.rmtree(debs)
    return f"sha256:{total.hexdigest()}"


def _explain(ran: Ran, job: Job, place: str = "the cache") -> EnvironmentTrouble:
    errors = "\n".join(line for line in ran.out.splitlines() if line.startswith(("E:", "Err:", "dpkg", "  ", " ")))
    if trouble := common(job.label, ran.out, place):
        return trouble
    if re.search(r"404 +Not Found", ran.out):
        step = "its package lists are older than the archive: run `apt-get update`, then run again"
    elif found := re.search(
        r"Unable to locate package (\S+)|(?:Version|version) '(\S+)' for '(\S+)' was not found", errors
    ):
        what = found[1] or f"{found[3]}={found[2]}"
        return EnvironmentTrouble(
            f"{job.label}: the package lists of this machine have no {what}; run `apt-get update`, or correct `with`"
        )
    elif "unmet dependencies" in ran.out:
        step = "add the versions it needs to `with`, or set `depends` to false"
    else:
        step = "run apt-get by hand to see all of its output"
    return EnvironmentTrouble(f"{job.label}: apt-get failed ({tail(errors or ran.out)}); {step}")
