"""Waits until a process is ready, bounded; and proves that what answered is that process and no other."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterable

from seatrial.clock import NS
from seatrial.errors import NotReady, StageFailed
from seatrial.host import sockets
from seatrial.plan import Ready
from seatrial.runtimes import commands, logs, wire
from seatrial.runtimes.subject import Subject

SETTLE_S = 0.1
FIRST_EVERY_S = 0.02  # the first tries follow each other faster: most programs are ready soon
Pids = Callable[[], Iterable[int]]


class ForeignOwner(StageFailed):
    """Something else than the process under trial listens on its port."""


def declared(subject: Subject) -> Ready:
    """Return how readiness is seen: as declared; else by its first port; else by having lived for a moment."""
    spec = subject.spec
    if spec.ready is not None:
        return spec.ready
    return Ready(kind="tcp", port=spec.ports[0]) if spec.ports else Ready(kind="alive")


def describe(ready: Ready, subject: Subject) -> str:
    """Return what is waited for, in plain words."""
    if ready.kind == "http":
        return f"GET http://{subject.address(ready.port)}{subject.fill(ready.path, 'ready.path')}"
    if ready.kind == "tcp":
        return f"connecting to {subject.address(ready.port)}"
    if ready.kind == "exec":
        return f"command {' '.join(subject.fill_all(ready.command, 'ready.command'))!r}"
    if ready.kind == "log":
        return f"a log line that matches {ready.pattern!r}"
    return f"function {ready.function}" if ready.kind == "protocol" else "staying alive"


async def wait(subject: Subject, pids: Pids, gave_up: Callable[[], str], log_from: int) -> float:
    """Wait until the process is ready; return the seconds it took.

    gave_up: asked between and during tries; a text when there is no use in waiting on (it exited). Raises NotReady
    when the bound is hit, StageFailed when gave_up said something or a foreign process answers.
    """
    ready, clock = declared(subject), subject.clock
    began, tries, good, seen = clock.now_ns(), 0, 0, ""
    words = describe(ready, subject)
    while good < max(1, ready.consecutive):
        if tries:
            await clock.sleep(min(FIRST_EVERY_S, ready.every_s) if tries < 10 and not good else ready.every_s)
        tries += 1
        seen = await _attempt(ready, subject, gave_up, log_from)
        good = good + 1 if not seen else 0
        over_s = (clock.now_ns() - began) / NS
        if seen and over_s >= ready.within_s:
            last = logs.last_words(subject.place.log, log_from)
            raise NotReady(f"{subject.name}: {words} {seen} for {over_s:.1f} s ({tries} tries){last}")
    if ready.kind in ("http", "tcp"):
        verify_owner(subject, ready.port, pids)
    return (clock.now_ns() - began) / NS


def verify_owner(subject: Subject, port: str, pids: Pids) -> str:
    """Prove that the listening socket is held by the process's own tree; return the holder in plain words.

    Raises ForeignOwner (environment) naming who holds it instead.
    """
    address = subject.address(port)
    if not sockets.can_look():
        return "this system does not tell who listens"
    mine = list(pids())
    found = sockets.listeners(address.port, address.host, among=mine)
    ours = {one.host for one in found if one.pids}
    strangers = [one for one in found if not one.pids and (not ours or one.host in ours)]
    if ours and not strangers:
        return next(one.owner() for one in found if one.pids)
    if not ours and mine and not any(os.access(f"/proc/{pid}/fd", os.R_OK) for pid in mine):
        return "a process of the run that may not be looked at"
    raise ForeignOwner(_foreign(subject, str(address), address.port, strangers), outcome="environment")


def _foreign(subject: Subject, address: str, port: int, strangers: list[sockets.Listener]) -> str:
    if not strangers:
        return f"{subject.name}: {address} answered, but no process of {subject.name} listens there"
    held = sockets.holders({strangers[0].inode}).get(strangers[0].inode, ())
    who = sockets.Listener(inode=0, host="", port=port, uid=strangers[0].uid, pids=held).owner()
    return f"{subject.name}: {address} is answered by {who}, which is not part of this run"


async def _attempt(ready: Ready, subject: Subject, gave_up: Callable[[], str], log_from: int) -> str:
    """One try; "" is good, else what was seen. An exit of the process is noticed while the try is under way."""
    check = asyncio.ensure_future(_CHECKS[ready.kind](ready, subject, log_from))
    try:
        while not check.done():
            reason = gave_up()
            if reason:
                raise StageFailed(reason)
            await asyncio.wait({check}, timeout=0.02)
        return check.result()
    finally:
        if not check.done():
            check.cancel()
            await asyncio.wait({check})


async def _http(ready: Ready, subject: Subject, _: int) -> str:
    address = subject.address(ready.port)
    try:
        answer = await wire.get(address.host, address.port, subject.fill(ready.path, "ready.path"), ready.timeout_s)
    except OSError as error:
        return str(error)
    if answer.status not in ready.codes:
        return f"gave {answer.status}"
    if ready.contains and ready.contains not in answer.text:
        return f"gave {answer.status} without {ready.contains!r} in its body"
    return ""


async def _tcp(ready: Ready, subject: Subject, _: int) -> str:
    address = subject.address(ready.port)
    try:
        await wire.connect(address.host, address.port, ready.timeout_s)
    except OSError as error:
        return str(error)
    return ""


async def _exec(ready: Ready, subject: Subject, _: int) -> str:
    output = subject.place.tmp / "ready-exec.out"
    output.unlink(missing_ok=True)
    order = subject.order(subject.fill_all(ready.command, "ready.command"), role="exec", log=output)
    result = await commands.run(order, ready.timeout_s)
    if result.code is None:
        return f"did not end within {ready.timeout_s:g} s"
    said = logs.tail(output, 1)
    return f"exited with {result.code}" + (f" ({said[0]})" if said else "") if result.code else ""


async def _log(ready: Ready, subject: Subject, log_from: int) -> str:
    try:
        with subject.place.log.open("rb") as file:
            file.seek(log_from if log_from <= logs.size(subject.place.log) else 0)
            text = file.read().decode("utf-8", "replace")
    except OSError as error:
        return f"could not be looked for ({error.strerror})"
    return "" if re.search(ready.pattern, text, re.MULTILINE) else "did not appear"


async def _protocol(ready: Ready, subject: Subject, _: int) -> str:
    function = commands.load(subject.app_dir, ready.function, subject.name)
    try:
        async with asyncio.timeout(ready.timeout_s):
            await function(subject.address(ready.port) if subject.ports else None, subject.values)
    except TimeoutError:
        return f"did not end within {ready.timeout_s:g} s"
    except Exception as error:  # the function says "not ready" by raising whatever it likes
        return f"raised {type(error).__name__}: {error}"
    return ""


async def _alive(_: Ready, subject: Subject, __: int) -> str:
    await subject.clock.sleep(SETTLE_S)
    return ""


_CHECKS = {"http": _http, "tcp": _tcp, "exec": _exec, "log": _log, "protocol": _protocol, "alive": _alive}
