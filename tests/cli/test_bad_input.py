"""Bad input, as a user makes it: each gives one clear message and the right exit code, and leaves nothing behind."""

from __future__ import annotations

import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "engine"))
from residue_kit import VICTIM, Ship, ashore, residue  # noqa: F401

pytestmark = pytest.mark.real

SERVE = "exec python3 {{ root }}/service.py --port {{ port.http }} --data {{ data }}/kv"
APP = """
[app]
name = "shop"

[artefacts.kv]
provider = "path"
package = "service.py"

[artefacts.kv.versions]
current = "1.0"

[processes.server]
artefact = "kv"
command = ["sh", "-c", "SERVE"]
ports = ["http"]
stop_grace = "1s"

[processes.server.ready]
kind = "http"
port = "http"
path = "/health"
within = "3s"

[users]
module = "users.py"
"""
SCENARIO = """
[scenario]
name = "short"
claims = "What is stored is there."

[load]
users = 4
rate = "40/s"
length = "2s"
timeout = "1s"

[[checks]]
kind = "durability"
min_examined = 1

[[checks]]
kind = "stability"

[[checks]]
kind = "stop"
level = "report"

[[checks]]
kind = "teardown"
"""
USERS = """
from seatrial import User, Verb, task


class Keeper(User):
    @task(weight=1)
    async def put(self) -> None:
        key, value = self.own_key("key"), self.unique()
        async with self.op("put", Verb.WRITE, key=key, value=value) as op:
            op.expect(await self.http.put(f"/k/{key}", body=value), 204)

    async def readback(self) -> None:
        for key in self.owned_keys():
            async with self.op("get", Verb.READ, key=key) as op:
                answer = await self.http.get(f"/k/{key}")
                op.expect(answer, 200, 404)
                op.result(None if answer.status == 404 else answer.text)
"""
READY_AND_DEAF = 'print(json.dumps({"type": "ready"}), flush=True)\ntime.sleep(600)'
PROGRAM = "#!/usr/bin/env python3\nimport json, sys, time\n"


@dataclass(frozen=True)
class Bad:
    """One mistake. says: what the message must hold; outcome: of the verdict, when a run began."""

    code: int
    says: tuple[str, ...]
    outcome: str = ""
    app: tuple[tuple[str, str], ...] = ()
    users: tuple[tuple[str, str], ...] = ()
    scenario: tuple[tuple[str, str], ...] = ()
    program: str | None = None


def command(text: str) -> tuple[tuple[str, str], ...]:
    return (('["sh", "-c", "SERVE"]', text),)


READY = "[processes.server.ready]"
JUNK = "head -c 2000000 /dev/zero"
ORDER = '["install", "ready", "drive", "heal", "quiesce", "restart", "readback", "teardown"]'
LIMITS = "[processes.server.limits]\n{0}\n\n[processes.server.ready]"
PUT = 'key, value = self.own_key("key"), self.unique()'
WITH_PROGRAM = (('module = "users.py"', 'program = ["python3", "crew.py"]'),)
CASES = {
    "broken TOML": Bad(64, ("app.toml:2", "TOML:"), app=(("[app]", "[app"),)),
    "unknown keys": Bad(
        64,
        ("5 mistakes", "did you mean 'command'?", "did you mean 'ports'?", "did you mean 'length'?"),
        app=(("command =", "comand ="), ("ports =", "port =")),
        scenario=(("length =", "lenght ="),),
    ),
    "no such command": Bad(
        1, ("server: command 'no-such-program' not found: not on its PATH",), "fail", command('["no-such-program"]')
    ),
    "no such file": Bad(
        1, ("command './nothing.sh' not found: there is no file",), "fail", command('["./nothing.sh"]')
    ),
    "not executable": Bad(1, ("is not executable (chmod +x ",), "fail", command('["{{ root }}/service.py"]')),
    "a template that names nothing": Bad(2, ("'prot' is undefined",), "", command('["sleep", "{{ prot.http }}"]')),
    "never ready": Bad(
        1,
        ("/health was refused for 3.", 'last log line: "waiting for a database"'),
        "fail",
        command('["sh", "-c", "echo waiting for a database; sleep 60"]'),
    ),
    "exits at once": Bad(
        1,
        ("server: exited with code 3", "before it was ready", "cannot open config"),
        "fail",
        command('["sh", "-c", "echo cannot open config; exit 3"]'),
    ),
    "killed at once": Bad(1, ("server: was ended by SIGKILL",), "fail", command('["sh", "-c", "kill -9 $$"]')),
    "floods its log": Bad(
        0,
        ("its log reached its limit of 1MiB",),
        "pass",
        (
            *command('["sh", "-c", "(while :; do yes flooding-flooding | head -c 100000; sleep 0.05; done) & SERVE"]'),
            (READY, LIMITS.format('log = "1MiB"')),
        ),
    ),
    "fills its disk": Bad(
        1,
        ("stability: server (code -9) was ended: its files take", "its limit is 5MiB"),
        "fail",
        (
            *command(f'["sh", "-c", "(while sleep 0.1; do {JUNK} >> {{{{ data }}}}/junk; done) & SERVE"]'),
            (READY, LIMITS.format('disk = "5MiB"')),
        ),
    ),
    "ignores SIGTERM": Bad(
        0,
        ("SIGTERM was ignored for 1 s; SIGKILL used",),
        "pass",
        command('["sh", "-c", "trap \'\' TERM; SERVE --bug ignores-sigterm"]'),
        scenario=(("[[checks]]", f"[stages]\norder = {ORDER}\n\n[[checks]]"),),
    ),
    "users: no such file": Bad(64, ("people.py", "No such file"), app=(('"users.py"', '"people.py"'),)),
    "users: syntax error": Bad(
        64, ("users.py", "invalid syntax"), users=(("class Keeper(User):", "class Keeper(User:"),)
    ),
    "users: import of what is not there": Bad(
        2,
        ("users.py:1", "No module named 'nothing_like_this'"),
        "inconclusive",
        users=(("\nfrom", "import nothing_like_this\nfrom"),),
    ),
    "users: nobody in it": Bad(
        2, ("users.py: no class derives from seatrial.User",), "inconclusive", users=(("(User)", ""),)
    ),
    "users: an exception": Bad(
        2,
        ("users.py:", "ValueError: my own mistake"),
        "inconclusive",
        users=((PUT, 'raise ValueError("my own mistake")'),),
    ),
    "users: blocks for ever": Bad(
        2,
        ("it hangs", "a user may block the event loop"),
        "inconclusive",
        users=((PUT, "import time; time.sleep(60)"),),
    ),
    "users: ends the worker": Bad(
        2, ("crew worker 0 ended with code 9",), "inconclusive", users=((PUT, "import os; os._exit(9)"),)
    ),
    "crew program: crashes": Bad(2, ("ended with code 4",), "inconclusive", WITH_PROGRAM, program="sys.exit(4)"),
    "crew program: garbage": Bad(
        2,
        ("is not a line of the crew protocol", "hello world"),
        "inconclusive",
        WITH_PROGRAM,
        program='print("hello world", flush=True)\ntime.sleep(600)',
    ),
    "crew program: hangs": Bad(
        2, ("did not say ready within 30 s",), "inconclusive", WITH_PROGRAM, program="time.sleep(600)"
    ),
    "crew program: hangs at work": Bad(2, ("crew",), "inconclusive", WITH_PROGRAM, program=READY_AND_DEAF),
}


def edited(text: str, edits: tuple[tuple[str, str], ...]) -> str:
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def written(root: Path, bad: Bad) -> Path:
    app = root / "shop"
    (app / "scenarios").mkdir(parents=True)
    (app / "service.py").write_text((VICTIM / "service.py").read_text())
    (app / "app.toml").write_text(edited(APP, bad.app).replace("SERVE", SERVE))
    (app / "scenarios" / "short.toml").write_text(edited(SCENARIO, bad.scenario))
    (app / "users.py").write_text(edited(USERS, bad.users))
    if bad.program is not None:
        (app / "crew.py").write_text(PROGRAM + bad.program + "\n")
    return app


def faults_of(root: Path, bad: Bad) -> list[str]:
    """Run it and return what is wrong with how seatrial took it."""
    ship = Ship(root / "ship", app=written(root, bad), scenario="short").start()
    code = ship.finish()
    said = ship.said + ship.printed
    wrong = [f"exit code {code}, not {bad.code}"] if code != bad.code else []
    flat = " ".join(said.split())
    wrong += [f"{text!r} is not in the message" for text in bad.says if text not in flat]
    wrong += [
        f"{text!r} is in the message" for text in ("Traceback", "a bug of seatrial", "Task exception") if text in said
    ]
    if bad.outcome:
        verdict = ship.verdict()
        wrong += [f"verdict {verdict['outcome']}: {verdict['reason']}"] if verdict["outcome"] != bad.outcome else []
    elif code == 64:
        wrong += ["a run began"] if ship.runs.exists() else []
    wrong += [f"left: {left}" for left in residue(ship)]
    return [*wrong, said] if wrong else []


@pytest.mark.proves("S0P-26", "S2P-8", "S3P-5")
def test_bad_input_is_told_clearly_and_leaves_nothing(tmp_path: Path) -> None:
    """All cases in one test, three at a time: most of each is waiting for what never comes."""
    with ThreadPoolExecutor(3) as pool:
        runs = {name: pool.submit(faults_of, tmp_path / f"{n}", bad) for n, (name, bad) in enumerate(CASES.items())}
    wrong = {name: found for name, run in runs.items() if (found := run.result())}
    assert not wrong, "\n\n".join("\n  ".join([f"== {name}", *found]) for name, found in wrong.items())


def test_an_app_whose_fixed_port_is_taken(tmp_path: Path) -> None:
    """A fixed port in the command: the app cannot listen, and its own words about that are in the message."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        words = f'["sh", "-c", "exec python3 {{{{ root }}}}/service.py --port {port} --data {{{{ data }}}}/kv"]'
        wrong = faults_of(tmp_path, Bad(1, ("before it was ready", "address already in use"), "fail", command(words)))
        assert not wrong, "\n".join(wrong)
