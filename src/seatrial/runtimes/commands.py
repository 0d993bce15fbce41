"""Runs one bounded command for a process (setup, exec checks), and calls functions of the app's own folder."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial.errors import StageFailed
from seatrial.host import marks, proc
from seatrial.runtimes import spawn

Function = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a command ended: its exit code (-signal), None when it was ended because its time was up."""

    code: int | None


async def run(order: spawn.Order, within_s: float) -> Result:
    """Run a command to its end, at most that long; then its whole tree is killed. Raises StageFailed: cannot start."""
    child = spawn.start(order)
    try:
        await asyncio.wait({child.ended}, timeout=within_s)
        if child.ended.done():
            return Result(code=child.ended.result())
        return Result(code=None)
    finally:
        if not child.ended.done():
            await _end(order, child)


async def _end(order: spawn.Order, child: spawn.Child) -> None:
    for pid, ticks in {**marks.of_run(order.run, (order.process,)), child.pid: child.ticks}.items():
        proc.send(pid, ticks, signal.SIGKILL)
    await asyncio.shield(asyncio.wait({child.ended}, timeout=5.0))
    child.forget()


def load(app_dir: str, where: str, process: str) -> Function:
    """Return the function "module.py:name" of the app's folder. Raises StageFailed saying what is wrong with it."""
    file, _, name = where.partition(":")
    path = (Path(app_dir) / file).resolve()
    if not name or not path.is_file():
        raise StageFailed(
            f"{process}: function {where!r}: there is no file {path}; write module.py:name", outcome="not-tested"
        )
    module = _module(path, process)
    function: Function | None = getattr(module, name, None)
    if not callable(function):
        raise StageFailed(f"{process}: function {where!r}: {path} has no function {name!r}", outcome="not-tested")
    return function


def _module(path: Path, process: str) -> Any:
    unique = "seatrial_app_" + hashlib.blake2b(str(path).encode(), digest_size=6).hexdigest()
    if unique in sys.modules:
        return sys.modules[unique]
    spec = importlib.util.spec_from_file_location(unique, path)
    if spec is None or spec.loader is None:
        raise StageFailed(f"{process}: {path} is not a Python module", outcome="not-tested")
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the app's own code does at import
        del sys.modules[unique]
        words = f"{process}: {path} could not be imported: {type(error).__name__}: {error}"
        raise StageFailed(words, outcome="not-tested") from None
    return module
