"""Every kind of mistake in app.toml and scenarios gives one clear line; all of them come at once."""

from __future__ import annotations

import pytest

APP = "shop/app.toml"
SCN = "shop/scenarios/default.toml"

ONE = [
    # which file, what stands there, what is written instead, what the only line must begin with, what it must hold
    ("app", 'provider = "pypi"', 'provider = "pypii"', "artefacts.shop.provider", "did you mean 'pypi'"),
    ("app", 'package = "shop"', 'package = "shop"\nextra = ["x"]', "artefacts.shop.extra", "did you mean 'extras'"),
    ("app", 'package = "shop"', 'package = ""', "artefacts.shop.package", "must not be empty"),
    ("app", 'current = "2.0"', 'newest = "2.0"', "artefacts.shop.version", "must be given"),
    ("app", 'package = "shop"\n', "", "artefacts.shop.package", "must be given"),
    ("app", "[processes.web]", "[processes.web]\nartefact = 'shopp'", "processes.web.artefact", "did you mean 'shop'"),
    ("app", "[processes.web]", "[processes.web]\nafter = ['dbb']", "processes.web.after", "did you mean 'db'"),
    ("app", "[processes.web]", "[processes.web]\nafter = ['web']", "processes.web.after", "waits for itself"),
    ("app", "[processes.web]", "[processes.web]\nstop_signal = 'TREM'", "processes.web.stop_signal", "a signal"),
    ("app", "[processes.web]", "[processes.web]\nstop_grace = 5", "processes.web.stop_grace", "with its unit"),
    ("app", "[processes.web]", "[processes.web]\nstop_grace = ''", "processes.web.stop_grace", "must not be empty"),
    ("app", "[processes.web]", "[processes.web]\nrestart = 'allways'", "processes.web.restart", "mean 'always'"),
    ("app", "[processes.web]", "[processes.web]\ncomand = []", "processes.web.comand", "did you mean 'command'"),
    ("app", '"{{ bin }}/db"', '"{{ bin }/db"', "processes.db.command[0]", "template, line 1"),
    ("app", 'command = ["{{ bin }}/db"]', 'command = "db"', "processes.db.command", "a list is wanted"),
    ("app", 'command = ["{{ bin }}/db"]', "command = []", "processes.db.command", "must not be empty"),
    ("app", "[processes.db]", "[processes.'d b']", "processes.d b", "a name is letters"),
    ("app", 'kind = "http"\n[', 'kind = "htpp"\n[', "processes.web.ready.kind", "did you mean 'http'"),
    ("app", 'kind = "http"\n[', 'kind = "tcp"\npath = "/"\n[', "processes.web.ready", "`path` means nothing"),
    ("app", 'kind = "http"\n[', 'kind = "exec"\n[', "processes.web.ready", "needs `command`"),
    ("app", 'kind = "http"\n[', 'kind = "http"\nport = "htp"\n[', "processes.web.ready.port", "did you mean 'http'"),
    ("app", 'kind = "http"\n[', 'kind = "http"\ncodes = [2]\n[', "processes.web.ready.codes", "from 100 to 599"),
    ("app", 'kind = "http"\n[', 'kind = "http"\nwithin = "0s"\n[', "processes.web.ready.within", "more than 0"),
    (
        "app",
        'kind = "http"\n[',
        'kind = "protocol"\nfunction = "no.py:f"\n[',
        "processes.web.ready.function",
        "No such",
    ),
    (
        "app",
        'kind = "http"\n[',
        'kind = "protocol"\nfunction = "users.py:Buyr"\n[',
        "processes.web.ready.function",
        "did you mean 'Buyer'",
    ),
    ("app", "'v(\\S+)'", "'v'", "processes.web.identity", "needs a group"),
    ("app", "'v(\\S+)'", "'v('", "processes.web.identity.pattern", "not a regular expression"),
    (
        "app",
        "[links.front]",
        "[processes.web.limits]\nmemory = '1Gib5'\n[links.front]",
        "processes.web.limits.memory",
        "",
    ),
    ("app", "[links.front]", "[processes.web.configs.a]\n[links.front]", "processes.web.configs.a", "exactly one of"),
    (
        "app",
        "[links.front]",
        "[processes.web.configs.a]\ntemplate = '../x'\n[links.front]",
        "processes.web.configs.a.template",
        "without '..'",
    ),
    (
        "app",
        "[links.front]",
        "[processes.web.configs.a]\ntemplate = 'x.j2'\n[links.front]",
        "processes.web.configs.a.template",
        "cannot be read",
    ),
    ("app", 'to = "web.http"\n[probes', 'to = "web.htp"\n[probes', "links.front.to", "did you mean 'web.http'"),
    ("app", 'to = "web.http"\n[[', 'to = "fron"\n[[', "probes.health.to", "did you mean 'front'"),
    ("app", "forbidden = true", "forbidden = true\nrequired = true", "logs[0]", "cannot be both"),
    ("app", "forbidden = true", "process = 'wbe'", "logs[0].process", "did you mean 'web'"),
    ("app", "forbidden = true", "forbidden = 'yes'", "logs[0].forbidden", "true or false"),
    ("app", 'module = "users.py"', 'module = "usrs.py"', "users.module", "cannot be read"),
    ("app", 'module = "users.py"', 'module = "users.py"\nclasses = {Byer = 1}', "users.classes.Byer", "mean 'Buyer'"),
    ("app", 'module = "users.py"', 'module = "users.py"\nprogram = ["x"]', "users", "exactly one of"),
    ("app", "[users]", "data = 1\n[users]", "logs[0].data", "unknown key"),
    ("app", "[app]", "[ap]\n[app]", "ap", "did you mean 'app'"),
    ("scenario", 'name = "default"', 'name = "other"', "scenario.name", "must be the name of the file"),
    ("scenario", "[[faults]]", "[fault]\n[[faults]]", "fault", "did you mean 'faults'"),
    ("scenario", 'rate = "$rate"', 'rate = "$rat"', "load.rate", "did you mean 'rate'"),
    ("scenario", 'length = "60s"', 'length = "$users"', "load.length", "the value comes from knob 'users'"),
    ("scenario", 'rate = "$rate"', 'rate = "$rate"\nthink = "1s,2s"', "load", "not `rate` and `think`"),
    ("scenario", 'rate = "$rate"', 'rate = "$rate"\npattern = "ramp"', "load", "belong together"),
    ("scenario", 'rate = "$rate"', 'rate = "$rate"\nvia = "frnt"', "load.via", "did you mean 'front'"),
    ("scenario", 'rate = "$rate"', 'rate = "$rate"\nhot_share = 0.5', "load", "needs `hot_keys`"),
    ("scenario", 'rate = "$rate"', 'rate = "$rate"\nwarmup = "61s"', "load.warmup", "shorter than load.length"),
    ("scenario", 'length = "60s"', 'length = "60"', "load.length", "with its unit"),
    ("scenario", "least = 1", "least = 'one'", "knobs.users.least", "a whole number"),
    ("scenario", "default = 20", "default = 200", "knobs.users", "must be at most 100"),
    ("scenario", 'kind = "count"', 'kind = "cuont"', "knobs.users.kind", "did you mean 'count'"),
    (
        "scenario",
        "[knobs.rate]",
        "[knobs.spare]\nkind = 'flag'\ndefault = true\n[knobs.rate]",
        "knobs.spare",
        "nothing",
    ),
    ("scenario", 'kind = "kill"', 'kind = "kil"', "faults[0].kind", "did you mean 'kill'"),
    ("scenario", 'target = "web"', 'target = "wbe"', "faults[0].target", "did you mean 'web'"),
    ("scenario", 'target = "web"', 'target = "link:front"', "faults[0].target", "no target for fault 'kill'"),
    ("scenario", 'target = "web"\n', "", "faults[0].target", "one of: web, db"),
    ("scenario", 'hold = "3s"\n', "", "faults[0].hold", "must be given"),
    ("scenario", 'hold = "3s"', 'hold = "3s"\nup_bye = "policy"', "faults[0].up_bye", "did you mean 'up_by'"),
    ("scenario", 'hold = "3s"', 'hold = "3s"\nup_by = "plicy"', "faults[0].up_by", "did you mean 'policy'"),
    ("scenario", 'hold = "3s"', 'hold = "3s"\nup_by = ""', "faults[0].up_by", "must not be empty"),
    ("scenario", 'at = "10s"', 'at = "10s"\nevery = "20s"', "faults[0]", "exactly one of"),
    ("scenario", 'at = "10s"\n', "", "faults[0]", "not none"),
    ("scenario", 'at = "10s"', 'at = "10s"\ncount = 3', "faults[0]", "`count` belongs to"),
    ("scenario", 'at = "10s"', 'storm = "9s,4s"', "faults[0]", "least,most"),
    ("scenario", 'at = "10s"', 'storm = "9s"', "faults[0].storm", "two durations"),
    ("scenario", 'at = "10s"', 'stage = "drivee"', "faults[0].stage", "did you mean 'drive'"),
    ("scenario", 'kind = "recovery"', 'kind = "recvery"', "checks[1].kind", "did you mean 'recovery'"),
    ("scenario", 'kind = "recovery"', 'kind = "recovery"\nwithn = "3s"', "checks[1].withn", "did you mean 'within'"),
    ("scenario", 'kind = "recovery"', 'kind = "recovery"\nwithin = 3', "checks[1].within", "with its unit"),
    ("scenario", 'kind = "recovery"', 'kind = "durability"', "checks[1]", "two checks are called 'durability'"),
    ("scenario", 'kind = "recovery"', 'kind = "recovery"\nlevel = "gat"', "checks[1].level", "did you mean 'gate'"),
    ("scenario", 'kind = "recovery"', 'kind = "latency"', "checks[1].max", "must be given for check 'latency'"),
    ("scenario", "", "[blast_radius]\ntargets = ['wbe']", "blast_radius.targets", "did you mean 'web'"),
    ("scenario", "", "[early_abort]\ndead = '9s'\nprobe = 'helth'", "early_abort.probe", "did you mean 'health'"),
    (
        "scenario",
        "",
        "[[waivers]]\ncheck='recovery'\nreason='r'\nauthor='a'\nexpires='soon'",
        "waivers[0].expires",
        "ISO",
    ),
    (
        "scenario",
        "",
        "[[waivers]]\ncheck='x'\nreason='r'\nauthor='a'\nexpires=2030-01-01",
        "waivers[0].check",
        "no check",
    ),
    ("scenario", "", "[stages]\nwithin = {drve = '9s'}", "stages.within", "did you mean 'drive'"),
    ("scenario", "", "[stages]\nwithin = {drive = '9s'}", "stages.within.drive", "at least the length"),
    ("scenario", "[scenario]", "slo = ['p99 > 3ms']\n[scenario]", "slo[0]", "upper limit: use <"),
    ("scenario", "[scenario]", "slo = ['p100 < 3ms']\n[scenario]", "slo[0]", "between p0 and p100"),
    ("scenario", "[scenario]", "slo = ['speed < 3ms']\n[scenario]", "slo[0]", "no objective 'speed'"),
    ("scenario", "[scenario]", "slo = ['success >= 3ms']\n[scenario]", "slo[0]", "ratio"),
    ("scenario", "[scenario]", "slo = ['gap < 5s sometimes']\n[scenario]", "slo[0]", "a phase is one of"),
]


@pytest.mark.parametrize(("which", "old", "new", "key", "holds"), ONE)
def test_one_mistake_is_one_clear_line(bend, which, old, new, key, holds) -> None:
    lines = bend(which, old, new).lines()
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"{APP if which == 'app' else SCN}: {key}"), lines
    assert holds in lines[0]


def test_many_mistakes_come_at_once(bend) -> None:
    files = None
    wanted = [ONE[0], ONE[7], ONE[31], ONE[32], ONE[34]]
    wanted += [row for row in ONE if row[3] in ("load.via", "faults[0].kind", "checks[1].withn", "knobs.spare")]
    for which, old, new, _, _ in wanted:
        files = bend(which, old, new)
    lines = files.lines()
    assert len(lines) == len(wanted), lines
    for _, _, _, key, holds in wanted:
        assert any(key in line and holds in line for line in lines), (key, lines)


def test_the_text_of_the_error_lists_them_all(bend) -> None:
    bend("app", 'provider = "pypi"', 'provider = "pypii"')
    files = bend("scenario", 'hold = "3s"', 'hold = "3"\nup_by = "x"')
    assert files.lines(sets={"userz": "3", "rate": ""}, runtime="proces") == [
        "command line: --runtime = \"proces\": no such runtime (did you mean 'process'?); runtimes: process",
        "--set: userz = \"3\": no such knob (did you mean 'users'?); knobs: rate, users",
        "--set: rate: must not be empty; leave it out to get the default",
        "shop/app.toml: artefacts.shop.provider = \"pypii\": no provider of that name (did you mean 'pypi'?); "
        "there is: apt, npm, path, pypi",
        'shop/scenarios/default.toml: faults[0].hold = "3": a duration such as "90s", "1.5m" or "250ms" is wanted, '
        "with its unit (us, ms, s, m, min, h, d)",
    ]


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("[app]\nname = \n", "shop/app.toml:2", "Invalid value"),
        ("[app]\nname = 'a'\n[app]\n", "shop/app.toml:3", "declare"),
        ("[app]\nname = 'a", "shop/app.toml:2", ""),
    ],
)
def test_toml_errors_give_file_and_line(files, text, where, says) -> None:
    files.app(text)
    (line,) = files.lines()
    assert line.startswith(where), line
    assert says in line


def test_both_files_may_be_broken(files) -> None:
    files.app("[app\n")
    files.scenario("= 3\n")
    assert [line.split(": ")[0] for line in files.lines()] == ["shop/app.toml:1", "shop/scenarios/default.toml:1"]


def test_a_file_that_is_not_text(files) -> None:
    (files.folder / "app.toml").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in files.lines()[0]


def test_users_module_with_a_syntax_error_gives_its_line(files) -> None:
    (files.folder / "users.py").write_text("x = 1\nclass Buyer(:\n")
    (line,) = files.lines()
    assert "users.module" in line
    assert "users.py:2" in line


def test_no_such_app_and_no_such_scenario(files) -> None:
    (line,) = files.lines(scenario="defalt")
    assert "no scenario 'defalt' for shop (did you mean 'default'?)" in line
    (line,) = files.lines(scenario="defalt")
    (files.folder / "app.toml").unlink()
    assert "has no app.toml" in files.lines()[0]


def test_sections_of_a_wrong_shape(files) -> None:
    files.app(
        "app = 1\nartefacts = 2\nprocesses = 3\nlinks = []\nprobes = 1\nlogs = 1\ndata = 'x'\nusers = 1\nknobs = 1\n"
    )
    files.scenario(
        "scenario = 1\nload = 2\nfaults = 3\nchecks = [1]\nslo = 1\nwaivers = 1\nstages = 1\nset = 4\nknobs = 2"
    )
    lines = files.lines()
    for key in ("app", "artefacts", "processes", "links", "probes", "logs", "data", "users", "knobs"):
        assert any(line.startswith((f"{APP}: {key} ", f"{APP}: {key}:")) for line in lines), (
            key,
            lines,
        )
    for key in ("scenario", "load", "faults", "checks", "slo", "waivers", "stages", "set", "knobs"):
        assert any(line.startswith((f"{SCN}: {key} ", f"{SCN}: {key}:")) for line in lines), (
            key,
            lines,
        )


def test_an_empty_app_says_what_is_missing(files) -> None:
    files.app("")
    lines = files.lines()
    assert any("app.name: must be given" in line for line in lines)
    assert any("processes" in line and "at least one" in line for line in lines)
