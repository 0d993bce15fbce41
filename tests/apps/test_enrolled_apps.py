"""Real, unmodified servers come out as they must: green where they keep their word, red with evidence where not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from trials import ROOT, Done, trial

from seatrial.history import Flag, OpOutcome, Verb
from seatrial.store.load import load_history
from seatrial.verdict import Outcome

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]


def assert_green(done: Done) -> None:
    assert done.verdict.outcome is Outcome.PASS, done.said
    assert done.code == 0
    assert all(f.outcome is Outcome.PASS for f in done.verdict.checks), done.said
    assert all(f.proof.planted == f.proof.caught > 0 for f in done.verdict.checks), done.said


def assert_lost_data(done: Done) -> None:
    assert done.verdict.outcome is Outcome.FAIL, done.said
    assert done.code == 1
    durability = done.check("durability")
    assert durability.outcome is Outcome.FAIL
    assert durability.evidence
    assert durability.evidence[0].ops
    assert durability.evidence[0].fault
    assert done.verdict.teardown.clean


def lost_by_hand(folder: Path) -> set[str]:
    """Count lost keys without the judge: the last change that was acknowledged is a write, and the key is absent."""
    ops = load_history(folder).ops
    last: dict[str, Verb] = {}
    open_keys: set[str] = set()
    lost: set[str] = set()
    for row in range(len(ops)):
        key, verb, outcome = ops.text(ops.key[row]), Verb(ops.verb[row]), OpOutcome(ops.outcome[row])
        if key is None:
            continue
        if verb in (Verb.WRITE, Verb.DELETE) and outcome is OpOutcome.OK:
            last[key] = verb
        if verb is Verb.DELETE and outcome in (OpOutcome.UNKNOWN, OpOutcome.IN_FLIGHT):
            open_keys.add(key)  # a delete that may have happened explains an absent key
        if verb is Verb.READ and ops.flags[row] & Flag.READBACK and outcome is OpOutcome.OK:
            absent = ops.result[row] < 0
            if absent and last.get(key) is Verb.WRITE and key not in open_keys:
                lost.add(key)
    return lost


@pytest.mark.proves("S0-1", "S0-37", "S0-57", "S1-14", "S3-38", "S3-39")
def test_radicale_passes_under_kill_pause_and_cut(tmp_path: Path) -> None:
    done = trial(tmp_path, "radicale", "default", "length=45s", "rate=20/s")
    assert_green(done)
    assert [f.kind for f in done.verdict.faults] == ["kill", "pause", "cut"]
    assert all(f.verified and f.gone for f in done.verdict.faults)


@pytest.mark.proves("S3-36")
def test_moto_loses_everything_at_a_restart(tmp_path: Path) -> None:
    done = trial(tmp_path, "moto")
    assert_lost_data(done)
    durability = done.check("durability")
    assert durability.figures["lost"] >= 0.8 * durability.figures["acked_keys"], "everything means everything"
    assert int(durability.figures["lost"]) == len(lost_by_hand(done.folder))


@pytest.mark.proves("S0-37", "H-6")
def test_redis_with_its_own_persistence_loses_acknowledged_writes_and_they_are_counted_exactly(tmp_path: Path) -> None:
    done = trial(tmp_path, "redis", "kill")
    assert_lost_data(done)
    assert int(done.check("durability").figures["lost"]) == len(lost_by_hand(done.folder)) > 0


def test_redis_with_appendonly_keeps_them(tmp_path: Path) -> None:
    done = trial(tmp_path, "redis", "default")
    assert_green(done)
    assert not lost_by_hand(done.folder)


def test_mosquitto_loses_retained_messages_when_killed(tmp_path: Path) -> None:
    done = trial(tmp_path, "mosquitto", "kill")
    assert_lost_data(done)
    assert int(done.check("durability").figures["lost"]) == len(lost_by_hand(done.folder)) > 0


@pytest.mark.proves("S2-29")
def test_mosquitto_keeps_them_over_a_clean_stop(tmp_path: Path) -> None:
    assert_green(trial(tmp_path, "mosquitto", "default"))


@pytest.mark.proves("S2-29")
def test_nats_jetstream_keeps_acknowledged_puts_when_killed(tmp_path: Path) -> None:
    assert_green(trial(tmp_path, "nats", "default"))


@pytest.mark.soak  # 600 MB to install
def test_changedetection_ignores_sigterm_and_the_finding_says_so(tmp_path: Path) -> None:
    done = trial(tmp_path, "changedetection", "stop")
    stop = done.check("stop")
    assert done.verdict.outcome is Outcome.FAIL
    assert stop.outcome is Outcome.FAIL
    assert "SIGTERM" in stop.reason
    assert "grace was used up" in stop.reason
    assert done.verdict.teardown.clean


@pytest.mark.proves("S3-78", "S4-29")
def test_a_baseline_that_cannot_be_installed_is_its_own_outcome(tmp_path: Path) -> None:
    app = tmp_path / "radicale"
    shutil.copytree(ROOT / "apps" / "radicale", app)
    text = (app / "app.toml").read_text()
    (app / "app.toml").write_text(text.replace('previous = "3.8.3"', 'previous = "0.0.99"'))
    done = trial(tmp_path / "runs", str(app), "default", "version=previous")
    assert done.verdict.outcome is Outcome.ENVIRONMENT, done.said
    assert done.code == 3
    assert "baseline radicale 0.0.99 cannot be installed" in done.verdict.reason


def test_etcd_lock_has_two_holders_when_one_dozes_longer_than_its_lease(tmp_path: Path) -> None:
    done = trial(tmp_path, "etcd")
    assert done.verdict.outcome is Outcome.FAIL, done.said
    assert done.check("one holder").outcome is Outcome.FAIL
    assert "two holders" in done.check("one holder").reason
    assert done.verdict.teardown.clean


def test_etcd_lock_has_one_holder_when_nobody_dozes(tmp_path: Path) -> None:
    assert_green(trial(tmp_path, "etcd", "default", "doze=0s", "length=8s"))


@pytest.mark.soak  # PostgreSQL itself lets a G2-item through now and then: a finding, and no basis for a quick test
def test_postgresql_is_serializable_where_it_says_so(tmp_path: Path) -> None:
    assert_green(trial(tmp_path, "postgresql", "default", "length=8s"))


def test_postgresql_shows_write_skew_at_repeatable_read(tmp_path: Path) -> None:
    done = trial(tmp_path, "postgresql", "default", "isolation=repeatable-read", "length=8s")
    assert done.verdict.outcome is Outcome.FAIL, done.said
    assert "G2-item" in done.check("serializability").reason
    assert done.check("serializability").evidence[0].ops


def test_mariadb_loses_updates_as_it_ships(tmp_path: Path) -> None:
    done = trial(tmp_path, "mariadb", "default", "length=8s")
    assert done.verdict.outcome is Outcome.FAIL, done.said
    lost = done.check("no lost updates")
    assert lost.outcome is Outcome.FAIL
    assert lost.evidence
    assert done.verdict.teardown.clean


def test_mariadb_loses_none_with_snapshot_isolation(tmp_path: Path) -> None:
    assert_green(trial(tmp_path, "mariadb", "default", "snapshot_isolation=on", "length=8s"))
