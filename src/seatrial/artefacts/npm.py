"""Node packages from the npm registry, each in a prefix of its own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from seatrial.artefacts.cache import Entry
from seatrial.artefacts.tool import Job, Ran, need, run
from seatrial.artefacts.trouble import MEGA, common, tail, unknown_package, unknown_version
from seatrial.artefacts.workshop import Workshop, key, label, mistake, options
from seatrial.errors import EnvironmentTrouble, UsageError
from seatrial.params import Kind, Param
from seatrial.plan import Artefact
from seatrial.ports import Installed, Say

PARAMS = (
    Param(name="with", kind=Kind.TEXTS, default=(), help="more packages, e.g. pg@8.11.0"),
    Param(name="before", kind=Kind.TEXT, default="", help="ISO date: use nothing that was published later"),
)
ROOM = 256 * MEGA
QUIET = ("--no-audit", "--no-fund", "--no-update-notifier", "--no-progress")


class Npm:
    """Provider of Node packages (ports.Provider). Values: root, bin, node, modules, version, digest."""

    def __init__(self, workshop: Workshop) -> None:
        """Install into this workshop's cache."""
        self._shop = workshop

    async def install(self, artefact: Artefact, say: Say) -> Installed:
        """Return the package in its prefix.

        Raises UsageError for wrong options and EnvironmentTrouble with the next step for everything else.
        """
        wanted = options(artefact, PARAMS)
        job = Job(label=label(artefact), say=say, clock=self._shop.clock)
        need("npm")
        node = (await run(["node", "--version"], job)).out.strip()
        name = f"{artefact.package.strip('@').replace('/', '+')}-{artefact.version}-" + key(**wanted, node=node)

        async def fill(tree: Path, job: Job) -> dict[str, str]:
            tree.mkdir()
            await _npm_install(tree, artefact, wanted, node, job)
            return _facts(tree, artefact)

        entry = await self._shop.cache.obtain("npm", name, fill, job, room=ROOM)
        return _installed(artefact, entry)


def _installed(artefact: Artefact, entry: Entry) -> Installed:
    modules = entry.tree / "node_modules"
    values = {
        "root": str(entry.tree),
        "bin": str(modules / ".bin"),
        "node": need("node"),
        "modules": str(modules),
        **entry.facts,
    }
    return Installed(
        artefact=artefact,
        version=entry.facts["version"],
        digest=entry.facts["digest"],
        root=entry.tree,
        values=values,
    )


async def _npm_install(tree: Path, artefact: Artefact, wanted: Mapping[str, Any], node: str, job: Job) -> None:
    (tree / "package.json").write_text('{"private": true}\n')  # makes this folder the root of the installation
    command = ["npm", "install", "--prefix", str(tree), *QUIET, "--fetch-retries=1"]
    command += [f"--before={wanted['before']}"] if wanted["before"] else []
    job.tell("installing with npm ...")
    ran = await run(
        [*command, f"{artefact.package}@{artefact.version}", *wanted["with"]],
        job,
        doing="installing with npm",
        cwd=tree,
    )
    if wrong := _wrong_node(ran.out, artefact, node):
        raise wrong
    if ran.code != 0:
        raise await _explain(ran, artefact, job, str(tree))


def _wrong_node(out: str, artefact: Artefact, node: str) -> EnvironmentTrouble | None:
    """npm only warns when the package does not support this Node; it then fails in ways that say nothing."""
    own = rf"package: '{re.escape(artefact.package)}@[^']*',[^}}]*?required: \{{([^}}]*)\}}"
    found = re.search(own, out)
    if found is None:
        return None
    asked = " ".join(found[1].replace("npm warn EBADENGINE", "").split())
    return EnvironmentTrouble(
        f"{label(artefact)}: needs {asked}, and this machine has Node {node}; install such a Node"
    )


async def _explain(ran: Ran, artefact: Artefact, job: Job, place: str) -> EnvironmentTrouble:
    out = ran.out
    if trouble := common(job.label, out, place):
        return trouble
    no_version = re.search(r"code (ETARGET|ENOVERSIONS)", out) and f"{artefact.package}@" in out
    if no_version and (known := await _known_versions(artefact, job)):
        return unknown_version(job.label, artefact.version, known, "the npm registry")
    if "code E404" in out:
        missing = re.search(r"'(@?[^@'\s]+)@[^']*'.*(?:could not be found|is not in)", out)
        return unknown_package(
            job.label, missing[1] if missing else artefact.package, "the npm registry", "check its spelling"
        )
    return EnvironmentTrouble(f"{job.label}: npm could not install it ({_reason(out)}); run npm by hand to see it all")


def _reason(out: str) -> str:
    errors = [line.removeprefix("npm error").strip() for line in out.splitlines() if line.startswith("npm error")]
    return tail("\n".join(line for line in errors if line and "complete log" not in line)[:2000], 4)


async def _known_versions(artefact: Artefact, job: Job) -> list[str]:
    ran = await run(["npm", "view", artefact.package, "versions", "--json", *QUIET], job)
    try:
        found = msgspec.json.decode(re.sub(r"(?m)^npm .*$", "", ran.out), type=list[str] | str)
    except msgspec.MsgspecError:
        return []
    return [found] if isinstance(found, str) else found


def _facts(tree: Path, artefact: Artefact) -> dict[str, str]:
    own = msgspec.json.decode((tree / "node_modules" / artefact.package / "package.json").read_bytes())
    version = str(own.get("version", ""))
    if version != artefact.version:
        problem = "is not an exact version, which a trial needs to mean the same thing tomorrow"
        hint = f"today it is {version}"
        raise UsageError([mistake(artefact, "version", problem, value=artefact.version, hint=hint)])
    return {"version": version, "digest": _digest(tree)}


def _digest(tree: Path) -> str:
    """Return sha256 over the sorted path, version and integrity of every package of the installed tree."""
    lock = msgspec.json.decode((tree / "node_modules" / ".package-lock.json").read_bytes())
    total = hashlib.sha256()
    for path, package in sorted(lock.get("packages", {}).items()):
        total.update(f"{path} {package.get('version', '')} {package.get('integrity', '')}\n".encode())
    return f"sha256:{total.hexdigest()}"
