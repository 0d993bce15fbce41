"""The scenario that can run itself: the fluent builder of `seatrial.config`, joined to `seatrial.run`."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.config import builder

if TYPE_CHECKING:
    from seatrial.run import RunResult


class Scenario(builder.Scenario):
    """A scenario that is built and run in Python; see `seatrial.config.builder.Scenario` for how it is built.

    >>> done = Scenario("mine").app("apps/shop").load(users=5, rate="20/s", length="30s").check("durability").run()
    ... # done.verdict.outcome, done.folder
    """

    def run(
        self, *, seed: int | None = None, out: Path | str = "runs", keep_on_fail: bool = False, **sets: Any
    ) -> RunResult:
        """Plan, run and judge; return the result. A new seed is chosen, and printed, when none is given.

        Raises UsageError and EnvironmentTrouble when nothing could be begun; anything later is in the verdict.
        """
        from seatrial.run import run_plan

        made = self.plan(seed=secrets.randbelow(2**31) if seed is None else seed, **sets)
        print(f"seed {made.seed}", file=sys.stderr, flush=True)
        return run_plan(made, out=Path(out), keep_on_fail=keep_on_fail)
