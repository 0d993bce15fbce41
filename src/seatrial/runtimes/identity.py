"""Who a process is: by what it executes, by who holds its listening sockets, and by its own mouth."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from seatrial.errors import StageFailed
from seatrial.host import proc, sockets
from seatrial.plan import Identity
from seatrial.ports import Claim
from seatrial.runtimes import commands, readiness, wire
from seatrial.runtimes.subject import Subject
from seatrial.runtimes.templates import render

TIMEOUT_S = 5.0


def executes(subject: Subject, root: Path, pids: Iterable[int]) -> Claim:
    """Claim that a process of the tree runs a file of the artefact."""
    members = sorted(pids)
    ours = next((pid for pid in members if _runs_from(pid, root)), None)
    observed = proc.describe(ours if ours is not None else members[0]) if members else "no process"
    return Claim(
        artefact=subject.spec.artefact,
        source="runtime",
        expected=f"runs from {root}",
        observed=observed,
        ok=ours is not None,
        reason="" if ours is not None else f"{subject.name}: neither program nor arguments nor libraries lie in {root}",
    )


def listens(subject: Subject, port: str, pids: Iterable[int]) -> Claim | None:
    """Claim that the process's own tree holds a listening socket; None when nobody listens on that port."""
    address = subject.address(port)
    if not sockets.listeners(address.port, address.host, among=()):
        return None
    members = list(pids)
    try:
        holder, ok, reason = readiness.verify_owner(subject, port, lambda: members), True, ""
    except readiness.ForeignOwner as error:
        holder, ok, reason = error.reason, False, error.reason
    expected = f"{subject.name} listens on {address}"
    name = subject.spec.artefact or subject.name
    return Claim(artefact=name, source="runtime", expected=expected, observed=holder, ok=ok, reason=reason)


async def says(subject: Subject, identity: Identity, artefact_values: Mapping[str, Any]) -> Claim:
    """Ask the app itself. Never raises for what the app does: that is a claim that does not hold."""
    values = {**subject.values, **artefact_values}
    expected = render(identity.expect, values, process=subject.name, key="identity.expect")
    observed, reason = "", ""
    try:
        observed = await _ASK[identity.kind](subject, identity)
    except (OSError, StageFailed) as error:
        reason = f"{subject.name}: could not ask: {error}"
    if not reason and observed != expected:
        reason = f"{subject.name}: says it is {observed!r}, not {expected!r}"
    return Claim(
        artefact=identity.artefact, source="app", expected=expected, observed=observed, ok=not reason, reason=reason
    )


async def _http(subject: Subject, identity: Identity) -> str:
    address = subject.address(identity.port)
    answer = await wire.get(address.host, address.port, subject.fill(identity.path, "identity.path"), TIMEOUT_S)
    return _group(identity.pattern, answer.text, "\n".join(answer.head))


async def _exec(subject: Subject, identity: Identity) -> str:
    output = subject.place.tmp / "identity-exec.out"
    output.unlink(missing_ok=True)
    order = subject.order(subject.fill_all(identity.command, "identity.command"), role="exec", log=output)
    result = await commands.run(order, TIMEOUT_S)
    text = output.read_text(errors="replace")
    if result.code:
        raise OSError(f"{' '.join(order.command)} exited with {result.code}: {text.strip()[-200:]}")
    if result.code is None:
        raise OSError(f"{' '.join(order.command)} did not end within {TIMEOUT_S:g} s")
    return _group(identity.pattern, text)


async def _log(subject: Subject, identity: Identity) -> str:
    """The last match counts: the log goes on over restarts."""
    text = subject.place.log.read_text(errors="replace")
    found = [match[1] for match in re.finditer(identity.pattern, text, re.MULTILINE)]
    if not found:
        raise OSError(f"no log line matches {identity.pattern!r}")
    return str(found[-1]).strip()


async def _protocol(subject: Subject, identity: Identity) -> str:
    function = commands.load(subject.app_dir, identity.function, subject.name)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            said = await function(subject.address(identity.port), subject.values)
    except TimeoutError:
        raise OSError(f"{identity.function} did not end within {TIMEOUT_S:g} s") from None
    except Exception as error:  # the app's own function may raise anything
        raise OSError(f"{identity.function} raised {type(error).__name__}: {error}") from None
    return _group(identity.pattern, str(said))


_ASK = {"http": _http, "exec": _exec, "log": _log, "protocol": _protocol}


def _group(pattern: str, *texts: str) -> str:
    for text in texts:
        match = re.search(pattern, text, re.MULTILINE)
        if match:
            return str(match[1] if match.groups() else match[0]).strip()
    raise OSError(f"{pattern!r} is not in its answer {texts[0][:120]!r}")


def _runs_from(pid: int, root: Path) -> bool:
    """By program file or argument; by a mapped library for a process that wrote its title over its arguments."""
    places = {str(root), str(root.resolve())}
    words = [proc.exe(pid), *proc.command(pid)]
    if any(word == place or word.startswith(f"{place}/") for word in words for place in places):
        return True
    try:
        maps = Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False
    return any(f" {place}/" in maps for place in places)
