"""Python packages from the package index, each in a venv of its own.

Installed with the pip of the Python that runs seatrial (`pip --python`), so that the venv holds the application and
nothing else, and an old Python does not mean an old pip.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial.artefacts.cache import Entry, off_loop
from seatrial.artefacts.tool import Job, Ran, run
from seatrial.artefacts.trouble import MEGA, common, tail, unknown_package, unknown_version
from seatrial.artefacts.workshop import Workshop, key, label, mistake, options
from seatrial.errors import EnvironmentTrouble, UsageError
from seatrial.params import Kind, Param
from seatrial.plan import Artefact
from seatrial.ports import Installed, Say

PARAMS = (
    Param(name="extras", kind=Kind.TEXTS, default=(), help="extras of the package"),
    Param(name="with", kind=Kind.TEXTS, default=(), help="more requirements, e.g. gunicorn==23.0.0"),
    Param(name="python", kind=Kind.TEXT, default="", help='the Python to use: "3.11", or a path'),
    Param(name="before", kind=Kind.TEXT, default="", help="ISO date: use nothing that was uploaded later"),
    Param(name="lock", kind=Kind.TEXT, default="", help="a requirements file with all versions, in the app's folder"),
    Param(name="lock_text", kind=Kind.TEXT, default="", help="the same as text"),
)
ROOM = 256 * MEGA
# Settings of a user's shell that would make pip install elsewhere, or make a Python find modules elsewhere.
FOREIGN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_REQUIRE_VIRTUALENV")
# Lines of a RECORD that depend on where and when it was installed, not on what.
LOCAL = re.compile(r"^(\.\./|.*\.dist-info/(INSTALLER|REQUESTED|RECORD|direct_url\.json)\b)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python on this machine: its path and full version."""

    path: str
    version: str


class Pypi:
    """Provider of Python packages (ports.Provider). Values: root, bin, python, version, digest, site."""

    def __init__(self, workshop: Workshop) -> None:
        """Install into this workshop's cache."""
        self._shop = workshop

    async def install(self, artefact: Artefact, say: Say) -> Installed:
        """Return the package in its venv, with its dependencies as of the first installation, a date, or a lock.

        Raises UsageError for wrong options and EnvironmentTrouble with the next step for everything else.
        """
        wanted = options(artefact, PARAMS)
        lock = _lock_text(artefact, wanted, self._shop.base)
        job = Job(label=label(artefact), say=say, clock=self._shop.clock)
        python = await find_python(wanted["python"], job)
        fixed = {name: wanted[name] for name in ("extras", "with", "before")}
        name = f"{_canonical(artefact.package)}-{artefact.version}-" + key(
            **fixed, python=python.version, lock=lock, at=sys.platform
        )

        async def fill(tree: Path, job: Job) -> dict[str, str]:
            await _make_venv(tree, python, job)
            await _pip_install(tree, artefact, wanted, lock, job)
            return await off_loop(lambda: _facts(tree, artefact))

        entry = await self._shop.cache.obtain("pypi", name, fill, job, room=ROOM)
        return _installed(artefact, entry)


def _installed(artefact: Artefact, entry: Entry) -> Installed:
    folder = entry.tree / "bin"
    values = {
        "root": str(entry.tree),
        "bin": str(folder),
        "python": str(folder / "python"),
        "site": str(_site(entry.tree)),
        **entry.facts,
    }
    return Installed(
        artefact=artefact,
        version=entry.facts["version"],
        digest=entry.facts["digest"],
        root=entry.tree,
        values=values,
    )


def _lock_text(artefact: Artefact, wanted: Mapping[str, Any], base: Path) -> str:
    if wanted["lock_text"] or not wanted["lock"]:
        return str(wanted["lock_text"])
    path = base / str(wanted["lock"])
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        problem = f"cannot be read ({getattr(error, 'strerror', None) or error})"
        raise UsageError([mistake(artefact, "lock", problem, value=str(path))]) from None


async def find_python(wanted: str, job: Job) -> Interpreter:
    """Return the interpreter of that version ("3.11") or path; our own when nothing is asked for."""
    own = Interpreter(path=sys.executable, version=".".join(map(str, sys.version_info[:3])))
    if not wanted or wanted in (own.version, own.version.rpartition(".")[0]):
        return own
    for path in _candidates(wanted):
        seen = await run([path, "-c", "import sys; print('.'.join(map(str, sys.version_info[:3])))"], job)
        version = seen.out.strip()
        if seen.code == 0 and ("/" in wanted or f"{version}.".startswith(f"{wanted}.")):
            return Interpreter(path=path, version=version)
    raise EnvironmentTrouble(
        f"{job.label}: Python {wanted} is not on this machine (this one is {own.version}); "
        f"install it so that python{wanted} is on PATH, or set the option `python` of the artefact"
    )


def _candidates(wanted: str) -> list[str]:
    if "/" in wanted:
        return [wanted] if shutil.which(wanted) else []
    minor = ".".join(wanted.split(".")[:2])
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    found = [
        shutil.which(f"python{minor}"),
        *map(str, sorted(pyenv.glob(f"{wanted}*/bin/python{minor}"), reverse=True)),
    ]
    return [path for path in found if path]


def _clean_env() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in FOREIGN}


async def _make_venv(tree: Path, python: Interpreter, job: Job) -> None:
    made = await run([python.path, "-m", "venv", "--without-pip", str(tree)], job, env=_clean_env())
    if made.code != 0:
        raise common(job.label, made.out, str(tree)) or EnvironmentTrouble(
            f"{job.label}: {python.path} cannot make a venv ({tail(made.out)}); install its venv module (python3-venv)"
        )


def _pip() -> list[str]:
    if importlib.util.find_spec("pip") is None:
        raise EnvironmentTrouble(f"pip is not in {sys.executable}; run `{sys.executable} -m ensurepip`")
    return [sys.executable, "-m", "pip"]


async def _pip_install(tree: Path, artefact: Artefact, wanted: Mapping[str, Any], lock: str, job: Job) -> None:
    extras = f"[{','.join(wanted['extras'])}]" if wanted["extras"] else ""
    command = ["install", "--no-input", "--progress-bar", "off"]
    command += ["--disable-pip-version-check", "--no-warn-script-location"]
    command += ["--uploaded-prior-to", wanted["before"]] if wanted["before"] else []
    if lock:
        path = tree.parent / "requirements.txt"
        path.write_text(lock)
        command += ["-r", str(path)]
    if "--hash=" not in lock:  # with hashes, everything must be in the lock
        command += [f"{artefact.package}{extras}=={artefact.version}", *wanted["with"]]
    job.tell("installing with pip ...")
    env = _clean_env()
    if env.get("PIP_RETRIES", "0") == "0":
        env["PIP_RETRIES"] = "2"  # with no retry, pip does not say that nobody answered
    own = str(tree / "bin" / "python")
    ran = await run([*_pip(), "--python", own, *command], job, doing="installing with pip", env=env)
    if ran.code != 0 and "does not support python" in ran.out:
        job.tell("this Python is too old for our pip; using the pip that came with it ...")
        await run([own, "-m", "ensurepip"], job, env=env)
        ran = await run([own, "-m", "pip", *command], job, doing="installing with pip", env=env)
    if ran.code != 0:
        raise _explain(ran, artefact, wanted, str(tree))


def _explain(ran: Ran, artefact: Artefact, wanted: Mapping[str, Any], place: str) -> EnvironmentTrouble:
    name, out = label(artefact), ran.out
    if "does not provide upload-time metadata" in out:
        return EnvironmentTrouble(
            f"{name}: the package index gives no upload times, so nothing can be resolved as of {wanted['before']}; "
            "give the versions in the option `lock` (a requirements file), or use an index that gives them"
        )
    if "no such option: --uploaded-prior-to" in out:
        return EnvironmentTrouble(f"{name}: `before` needs pip 26; run `{sys.executable} -m pip install -U 'pip>=26'`")
    if "uploaded-prior-to" in out and "option" in out:
        return EnvironmentTrouble(f"{name}: `before` = {wanted['before']!r} is no ISO date; write it as 2024-01-31")
    return (
        common(name, out, place)
        or _wrong_python(out, artefact)
        or _not_found(out, artefact, wanted)
        or EnvironmentTrouble(f"{name}: pip could not install it ({tail(out)}); {_advice(out)}")
    )


def _advice(out: str) -> str:
    if "ResolutionImpossible" in out or "conflicting dependencies" in out:
        return "its requirements contradict each other: correct `with` or the lock"
    if "Failed to build" in out or "subprocess-exited-with-error" in out:
        return "a dependency has no wheel for this Python: try the option `python`, or `lock` to versions that have one"
    return "run pip by hand to see all of its output"


def _wrong_python(out: str, artefact: Artefact) -> EnvironmentTrouble | None:
    exact = rf"(?<![\w.]){re.escape(artefact.version)} Requires-Python ([^;\n]+)"
    found = re.search(exact, out) or re.search(r"requires a different Python: \S+ not in '?([^'\n]+)'?", out)
    if found is None:
        return None
    return EnvironmentTrouble(
        f"{label(artefact)}: needs Python {found[1].strip()}; install one and name it in the option `python`"
    )


def _not_found(out: str, artefact: Artefact, wanted: Mapping[str, Any]) -> EnvironmentTrouble | None:
    found = re.search(r"satisfies the requirement ([^\s(]+).*?\(from versions: ([^)]*)\)", out)
    if found is None:
        return None
    name = _canonical(re.split(r"[\[<>=!~; ]", found[1])[0])
    known = [version.strip() for version in found[2].split(",") if version.strip() not in ("", "none")]
    if name != _canonical(artefact.package):
        near = f" (known: {', '.join(known[-5:])})" if known else ""
        return EnvironmentTrouble(
            f"{label(artefact)}: its dependency {found[1]} cannot be found{near}; correct `with`, `before` or the lock"
        )
    if known:
        return unknown_version(label(artefact), artefact.version, known, "the package index")
    when = f", and that it has files from before {wanted['before']}" if wanted["before"] else ""
    return unknown_package(label(artefact), artefact.package, "the package index", f"check its spelling{when}")


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _site(tree: Path) -> Path:
    return next(iter(sorted(tree.glob("lib/python*/site-packages"))), tree / "lib")


def _facts(tree: Path, artefact: Artefact) -> dict[str, str]:
    dists = {_canonical(dist.name): dist for dist in importlib.metadata.distributions(path=[str(_site(tree))])}
    own = dists.get(_canonical(artefact.package))
    if own is None:
        raise EnvironmentTrouble(f"{label(artefact)}: the lock does not hold the package itself; add it")
    if not _same_version(own.version, artefact.version):
        raise EnvironmentTrouble(f"{label(artefact)}: the lock holds {own.version}; make it the same version")
    return {"version": own.version, "digest": _digest(list(dists.values()))}


def _same_version(one: str, other: str) -> bool:
    """Compare as the index does: case, separators and trailing zeros make no difference."""
    plain = [
        re.sub(r"(\.0)+(?=$|\+)", "", re.sub(r"[-_]", ".", text.lower().removeprefix("v"))) for text in (one, other)
    ]
    return plain[0] == plain[1]


def _digest(dists: Sequence[importlib.metadata.Distribution]) -> str:
    """Return sha256 over name, version and the hashes of every file of every distribution, wherever it stands."""
    total = hashlib.sha256()
    for dist in sorted(dists, key=lambda dist: _canonical(dist.name)):
        record = (dist.read_text("RECORD") or "").splitlines()
        lines = sorted(line for line in record if "sha256=" in line and not LOCAL.match(line))
        total.update("\n".join([f"{_canonical(dist.name)}=={dist.version}", *lines, ""]).encode())
    return f"sha256:{total.hexdigest()}"
