"""Run one step with a bound, and tell its own timeout from one that happened inside; tell a bug from a trouble."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")

HOST_TROUBLES = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EROFS, errno.EIO}
)


class OutOfTime(Exception):
    """The step did not end within its bound. A TimeoutError from inside the step is never taken for this."""


async def bounded(step: Awaitable[T], within_s: float) -> T:
    """Return what the step returns; 0 is no bound. Raises OutOfTime, after the step was cancelled and has ended."""
    limit = asyncio.timeout(within_s or None)
    try:
        async with limit:
            return await step
    except TimeoutError:
        if limit.expired():
            raise OutOfTime(f"not done within {within_s:g} s") from None
        raise


def is_host_trouble(error: OSError) -> bool:
    """Return whether the machine is short of something (disk, descriptors, memory), which is nobody's bug."""
    return error.errno in HOST_TROUBLES


def words(error: BaseException) -> str:
    """Return an exception as one line for a report."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


async def quietly_ended(task: asyncio.Task[T], within_s: float) -> bool:
    """Cancel a task and wait for its end, at most that long; return whether it has ended. Its result is dropped."""
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=within_s)
    if done and not task.cancelled():
        task.exception()  # taken, so that nobody is warned of it
    return bool(done)
