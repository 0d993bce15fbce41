"""What a verdict says of artefacts comes from what was installed and what the app said, not from what was asked for."""

from __future__ import annotations

import pytest

from seatrial.history import ArtefactInstalled, History, IdentitySeen, no_ops
from seatrial.judge.results import artefacts_seen
from seatrial.plan import Artefact, Plan

PLAN = Plan(
    seatrial="0",
    app="redis",
    app_dir=".",
    scenario="s",
    runtime="process",
    seed=1,
    artefacts=(Artefact(name="redis", provider="apt", package="redis-server", version="7.0"),),
)


@pytest.mark.proves("S0-74")
def test_the_exact_version_and_digest_that_were_installed() -> None:
    events = (
        ArtefactInstalled(t_ns=1, artefact="redis", provider="apt", version="5:7.0.15-1", digest="sha256:ab"),
        IdentitySeen(t_ns=2, moment="ready", artefact="redis", source="app", expected="7", observed="7.0.15", ok=True),
        IdentitySeen(t_ns=3, moment="ready", artefact="redis", source="runtime", expected="", observed="x", ok=True),
    )
    (seen,) = artefacts_seen(PLAN, History(ops=no_ops(), events=events))
    assert (seen.version, seen.digest, seen.observed) == ("5:7.0.15-1", "sha256:ab", "7.0.15")


def test_what_was_never_installed_has_no_digest() -> None:
    (seen,) = artefacts_seen(PLAN, History(ops=no_ops()))
    assert (seen.version, seen.digest, seen.observed) == ("7.0", "", "")
