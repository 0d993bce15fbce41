"""The pytest plugin: run trials from tests, and assert on their verdicts. Imports nothing heavy before it is used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from seatrial.plan import Plan
    from seatrial.run import RunResult
    from seatrial.verdict import Finding, Verdict

MARK = "seatrial(app, scenario='default', seed=1, runtime='process', **knobs): the trial that `seatrial_trial` runs"


class Trial:
    """The result of a trial inside a test: the verdict, the run folder, and short ways to assert."""

    def __init__(self, result: RunResult) -> None:
        """Wrap what `seatrial.run.run_plan` returned."""
        self.result = result

    @property
    def verdict(self) -> Verdict:
        """Return the verdict."""
        return self.result.verdict

    @property
    def folder(self) -> Path:
        """Return the run folder, with report.html."""
        return self.result.folder

    @property
    def outcome(self) -> str:
        """Return the outcome as text: pass, fail, inconclusive, not-tested or environment."""
        return self.verdict.outcome.value

    def check(self, name: str) -> Finding:
        """Return the finding of a check by name. Raises KeyError with the names there are."""
        found = {finding.name: finding for finding in self.verdict.checks}
        if name not in found:
            raise KeyError(f"no check {name!r}; there is: {', '.join(found)}")
        return found[name]

    def assert_pass(self) -> None:
        """Fail the test with the reasons unless the outcome is pass; every other outcome is not green."""
        __tracebackhide__ = True
        if self.outcome != "pass":
            wrong = [f"{f.name}: {f.outcome.value}: {f.reason}" for f in self.verdict.checks if f.outcome != "pass"]
            stages = [f"stage {s.name}: {s.outcome.value}: {s.reason}" for s in self.verdict.stages if s.reason]
            told = "\n  ".join([self.verdict.reason, *stages, *wrong])
            pytest.fail(f"the trial came out {self.outcome}: {told}\n  {self.folder}", pytrace=False)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, so that --strict-markers knows it."""
    config.addinivalue_line("markers", MARK)


@pytest.fixture
def seatrial_run(tmp_path: Path) -> Callable[..., Trial]:
    """Return a function that runs a trial: of an app by name or folder, of a Scenario, or of a Plan.

    seatrial_run("apps/shop", "default", seed=1, users=10).assert_pass()
    """

    def run(
        what: Any,
        scenario: str = "default",
        *,
        seed: int = 1,
        runtime: str = "process",
        out: Path | None = None,
        **sets: Any,
    ) -> Trial:
        from seatrial.run import run_plan

        plan = _plan_of(what, scenario, seed, runtime, sets)
        return Trial(run_plan(plan, out=out or tmp_path / "runs"))

    return run


@pytest.fixture
def seatrial_trial(request: pytest.FixtureRequest, seatrial_run: Callable[..., Trial]) -> Trial:
    """Run the trial that the test's `@pytest.mark.seatrial("apps/shop", users=10)` names, and return it."""
    mark = request.node.get_closest_marker("seatrial")
    if mark is None or not (mark.args or "app" in mark.kwargs):
        pytest.fail('seatrial_trial needs a marker such as @pytest.mark.seatrial("apps/shop")', pytrace=False)
    keywords = dict(mark.kwargs)
    arguments = mark.args or (keywords.pop("app"),)
    return seatrial_run(*arguments, **keywords)


def _plan_of(what: Any, scenario: str, seed: int, runtime: str, sets: dict[str, Any]) -> Plan:
    from seatrial.config.build import Request, make_plan
    from seatrial.config.builder import Scenario
    from seatrial.plan import Plan

    if isinstance(what, Plan):
        return what
    if isinstance(what, Scenario):
        return what.plan(seed=seed, **sets)
    return make_plan(Request(app=what, scenario=scenario, seed=seed, runtime=runtime, sets=sets))
