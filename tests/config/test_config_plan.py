"""A right app and scenario become the plan that was meant; the builder makes the same; the same seed the same bytes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import seatrial
from seatrial import plan as plans
from seatrial.config.builder import Scenario

EVERYTHING = """
data = ["files", "db/main.sqlite"]
[app]
name = "shop"
summary = "everything"
[artefacts.shop]
provider = "pypi"
package = "shop"
version = "previous"
extras = ["server"]
with = ["gunicorn==23.0.0"]
[artefacts.shop.versions]
current = "2.0"
previous = "1.9"
[artefacts.tool]
provider = "path"
package = "./tool"
[processes.web]
artefact = "shop"
command = ["{{ bin }}/shop", "--mode={{ knob.mode }}", "$mode"]
env = { A = "1", PORT = 80, DEBUG = true, EMPTY = "" }
workdir = "{{ data }}"
setup = [["{{ bin }}/shop", "migrate"], ["true"]]
ports = ["http", "admin"]
stop_signal = "SIGINT"
stop_grace = "3s"
restart = "on-failure"
restart_delay = "250ms"
after = ["db"]
detects = "1s"
[processes.web.configs."shop.ini"]
template = "shop.ini.j2"
[processes.web.configs.extra]
text = "x = {{ port.http }}"
[processes.web.ready]
kind = "http"
port = "admin"
path = "/ready"
codes = [200, 204]
contains = "ok"
consecutive = 3
within = "90s"
every = "50ms"
timeout = "1s"
[processes.web.identity]
kind = "exec"
artefact = "shop"
command = ["{{ bin }}/shop", "--version"]
pattern = 'shop (\\S+)'
expect = "{{ version }}"
[processes.web.limits]
memory = "512MiB"
files = 100
pids = 50
disk = "1GB"
log = "1MiB"
[processes.db]
artefact = "tool"
command = ["{{ bin }}/db"]
ports = "sql"
[processes.db.ready]
kind = "log"
pattern = "ready"
[links.front]
to = "web.http"
[links.out]
to = "example.org:443"
detects = "2s"
[probes.health]
to = "front"
kind = "tcp"
every = "2s"
timeout = "1s"
[[logs]]
name = "started"
pattern = "started"
process = "web"
required = true
[users]
module = "users.py"
classes = { Buyer = 3, Admin = 0.5 }
[knobs.mode]
kind = "text"
default = "fast"
choices = ["fast", "safe"]
[scenarios.default.set]
users = 7
"""
SCENARIO = """
slo = ["p99 < 250ms", "success >= 99.9% outside", "gap < 5s", "recovery < 30s"]
[scenario]
name = "default"
claims = "It holds."
[knobs.users]
kind = "count"
default = 20
[knobs.storm]
kind = "text"
default = "2s,6s"
[set]
mode = "safe"
[load]
users = "$users"
length = "60s"
rate = "30/m"
rate_to = "50/s"
pattern = "ramp"
workers = 2
warmup = "5s"
jitter = "1s"
hot_share = "10%"
hot_keys = 4
timeout = "2s"
via = "front"
mix = { buy = 3, look = 1 }
[[faults]]
kind = "latency"
target = ["link:front", "link:out"]
pick = "turn"
storm = "$storm"
hold = "4s"
latency = "100ms"
[[faults]]
kind = "power-cut"
stage = "drive"
at = "55s"
hold = "1s"
[[faults]]
kind = "restart"
target = "web"
ops = 10
[[checks]]
kind = "durability"
[[checks]]
kind = "leak"
name = "memory"
level = "report"
[blast_radius]
targets = ["link:front", "link:out", "all", "web"]
at_once = 2
in_all = 50
[early_abort]
dead = "20s"
[[waivers]]
check = "memory"
reason = "known"
author = "me"
expires = 2031-01-31
[stages]
order = ["install", "ready", "drive", "heal", "quiesce", "restart", "readback", "teardown"]
within = { install = "20m" }
"""


@pytest.fixture
def everything(files):
    files.app(EVERYTHING)
    files.scenario(SCENARIO)
    (files.folder / "users.py").write_text("from shop import Admin\nclass Buyer: pass\n")
    (files.folder / "shop.ini.j2").write_text("mode = {{ knob.mode }}\nport = {{ port.http }}\n")
    return files


@pytest.mark.proves("S0-56", "S0-61")
def test_every_field_of_the_plan_is_reachable(everything) -> None:
    plan = everything.plan(seed=5)
    assert (plan.app, plan.scenario, plan.runtime, plan.seed) == ("shop", "default", "process", 5)
    assert plan.seatrial == seatrial.__version__
    assert plan.data == ("files", "db/main.sqlite")
    shop, tool = plan.artefacts
    assert (shop.version, shop.options) == ("1.9", {"extras": ["server"], "with": ["gunicorn==23.0.0"]})
    assert (tool.provider, tool.version) == ("path", "")
    web = plan.process("web")
    assert web == plans.Process(
        name="web",
        artefact="shop",
        command=("{{ bin }}/shop", "--mode=safe", "safe"),
        env={"A": "1", "PORT": "80", "DEBUG": "true", "EMPTY": ""},
        workdir="{{ data }}",
        setup=(("{{ bin }}/shop", "migrate"), ("true",)),
        configs=(
            plans.ConfigFile(name="shop.ini", text="mode = safe\nport = {{ port.http }}\n"),
            plans.ConfigFile(name="extra", text="x = {{ port.http }}"),
        ),
        ports=("http", "admin"),
        stop_signal="INT",
        stop_grace_s=3.0,
        restart="on-failure",
        restart_delay_s=0.25,
        after=("db",),
        ready=plans.Ready(
            kind="http", port="admin", path="/ready", codes=(200, 204), contains="ok", consecutive=3,
            within_s=90.0, every_s=0.05, timeout_s=1.0,
        ),
        identity=plans.Identity(
            kind="exec", artefact="shop", port="http", command=("{{ bin }}/shop", "--version"), pattern="shop (\\S+)"
        ),
        limits=plans.Limits(memory=512 * 1024**2, files=100, pids=50, disk=10**9, log=1024**2),
    )  # fmt: skip
    assert plan.process("db").ready == plans.Ready(kind="log", port="sql", pattern="ready")
    assert plan.links == (plans.Link(name="front", to="web.http"), plans.Link(name="out", to="example.org:443"))
    assert plan.probes == (plans.Probe(name="health", to="front", kind="tcp", every_s=2.0, timeout_s=1.0),)
    assert plan.logs == (plans.LogPattern(name="started", pattern="started", process="web", required=True),)
    classes = (plans.UserClass(name="Buyer", weight=3.0), plans.UserClass(name="Admin", weight=0.5))
    assert plan.crew == plans.Crew(module="users.py", classes=classes)


def test_every_field_of_the_scenario_is_reachable(everything) -> None:
    plan = everything.plan(seed=5)
    assert plan.load == plans.Load(
        users=7, length_s=60.0, arrivals=plans.Arrivals(pattern="ramp", rate=0.5, rate_to=50.0), workers=2,
        warmup_s=5.0, start_jitter_s=1.0, hot_share=0.1, hot_keys=4, timeout_s=2.0, via="front",
        mix={"buy": 3.0, "look": 1.0},
    )  # fmt: skip
    delays = [f for f in plan.faults if f.kind == "latency"]
    assert [f.target for f in delays[:3]] == ["link:front", "link:out", "link:front"]
    assert all(f.params["latency"] == 0.1 and f.params["direction"] == "down" and f.hold_s == 4.0 for f in delays)
    cut = next(f for f in plan.faults if f.kind == "power-cut")
    assert (cut.target, cut.trigger) == ("all", plans.Trigger(kind="stage", stage="drive", at_s=55.0))
    assert next(f for f in plan.faults if f.kind == "restart").trigger == plans.Trigger(kind="ops", ops=10)
    assert [f.id for f in plan.faults] == [f"f{n}" for n in range(1, len(plan.faults) + 1)]
    assert plan.blast_radius == plans.BlastRadius(
        targets=("link:front", "link:out", "all", "web"), at_once=2, in_all=50
    )
    assert plan.early_abort == plans.EarlyAbort(dead_s=20.0, probe="health")
    assert plan.waivers == (plans.WaiverSpec(check="memory", reason="known", author="me", expires="2031-01-31"),)
    assert [s.name for s in plan.stages][5] == "restart"
    assert {s.name: s.within_s for s in plan.stages}["install"] == 1200.0
    assert {s.name: s.within_s for s in plan.stages}["drive"] == 120.0


@pytest.mark.proves("S1-36")
def test_objectives_become_checks_with_limits(everything) -> None:
    checks = {c.name: c for c in everything.plan().checks}
    slow = checks["p99 < 250ms"]
    assert (slow.kind, slow.level, slow.params["max"], slow.params["quantile"]) == ("latency", "gate", 0.25, 0.99)
    good = checks["success >= 99.9% outside"]
    assert (good.kind, good.params["min"], good.params["phase"]) == ("success_rate", 0.999, "outside")
    assert checks["gap < 5s"].params["max_gap"] == 5.0
    assert (checks["recovery < 30s"].kind, checks["recovery < 30s"].params["within"]) == ("recovery", 30.0)
    assert checks["memory"].level == "report"


@pytest.mark.proves("S0P-24")
def test_knobs_carry_value_and_origin(everything) -> None:
    plan = everything.plan(sets={"storm": "3s,3s"})
    assert {k.name: (k.value, k.origin) for k in plan.knobs} == {
        "mode": ("safe", "scenario"),
        "users": ("7", "app"),
        "storm": ("3s,3s", "--set"),
    }
    assert {k.name: k.origin for k in everything.plan(sets={"users": "9"}).knobs}["users"] == "--set"


def test_limits_are_all_in_the_plan(files) -> None:
    (durability, recovery) = files.plan().checks
    assert durability.params == {"min_examined": 1, "min_share": 0.99, "strict": False}
    assert recovery.params["within"] == 30.0


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**63 - 1))
def test_same_seed_same_bytes_and_a_plan_survives_being_saved(everything, seed) -> None:
    first, again = everything.plan(seed=seed), everything.plan(seed=seed)
    assert plans.encode(first) == plans.encode(again)
    assert plans.decode(plans.encode(first)) == first


def test_another_seed_gives_another_schedule(everything) -> None:
    assert len({tuple(f.trigger.at_s for f in everything.plan(seed=s).faults) for s in range(5)}) == 5


@pytest.mark.proves("S1-2")
def test_the_builder_makes_the_same_plan(files) -> None:
    files.scenario("""
slo = ["p99 < 250ms"]
[scenario]
name = "mine"
claims = "It holds."
[knobs.users]
kind = "count"
default = 20
[load]
users = "$users"
rate = "50/s"
length = "60s"
[[faults]]
kind = "kill"
target = ["web", "db"]
every = "15s"
hold = "3s"
[[checks]]
kind = "durability"
min_share = "90%"
[blast_radius]
in_all = 9
[early_abort]
dead = "30s"
[[waivers]]
check = "durability"
reason = "r"
author = "a"
expires = "2030-01-01"
[stages.within]
install = "5m"
""", "mine")  # fmt: skip
    built = (
        Scenario("mine", claims="It holds.")
        .app(files.folder)
        .knob("users", "count", default=20)
        .load(users="$users", rate="50/s", length="60s")
        .fault("kill", target=("web", "db"), every="15s", hold="3s")
        .check("durability", min_share="90%")
        .slo("p99 < 250ms")
        .blast_radius(in_all=9)
        .early_abort("30s")
        .waive("durability", reason="r", author="a", expires="2030-01-01")
        .stages(install="5m")
    )
    assert built.plan(seed=3) == files.plan(seed=3, scenario="mine")
    assert built.plan(seed=3, users=4) == files.plan(seed=3, scenario="mine", sets={"users": 4})


def test_mistakes_in_a_builder_name_the_scenario(files) -> None:
    built = Scenario("mine").app(files.folder).load(users=1, rate="1/s", length="60s").fault("kil", at="1s")
    with pytest.raises(seatrial.errors.UsageError) as caught:
        built.plan(seed=1)
    assert any(m.file == "Scenario('mine')" and m.key == "faults[0].kind" for m in caught.value.mistakes)


@pytest.mark.parametrize("name", ["smoke", "storm"])
def test_shared_scenarios_fit_any_app(files, name) -> None:
    files.app((files.folder / "app.toml").read_text() + f"[scenarios.{name}.set]\nusers = 3\n")
    plan = files.plan(scenario=name, seed=8)
    assert plan.load.users == 3
    assert {k.name: k.origin for k in plan.knobs}["users"] == "app"
    if name == "storm":
        assert {f.target for f in plan.faults} == {"web", "db"}
        assert len(plan.faults) >= 4


def test_an_app_scenario_goes_before_a_shared_one(files) -> None:
    files.scenario((files.folder / "scenarios/default.toml").read_text().replace('"default"', '"smoke"'), "smoke")
    assert len(files.plan(scenario="smoke").faults) == 1


def test_a_closed_load_and_a_burst(bend) -> None:
    files = bend("scenario", '[knobs.rate]\nkind = "rate"\ndefault = "50/s"\n', "")
    closed = bend("scenario", 'rate = "$rate"', 'think = "0.5s,2s"').plan().load
    assert closed.arrivals == plans.Arrivals(model="closed", think_min_s=0.5, think_max_s=2.0)
    burst = bend("scenario", 'think = "0.5s,2s"', 'burst = { size = 10, every = "5s" }').plan().load
    assert burst.arrivals == plans.Arrivals(pattern="burst", burst_size=10, burst_every_s=5.0)
    assert files.plan().load == burst
