"""The process runtime with real programs: start, readiness, exits and who caused them, stop, kill, teardown."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import os
import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from deploykit import PYTHON, Rig

from seatrial.errors import NotReady, StageFailed
from seatrial.host import capabilities, cgroups, marks, proc
from seatrial.plan import ConfigFile, Limits, Process, Ready
from seatrial.runtimes import wire

DOUBLE_FORK = """
    import os, signal, sys, time
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in sys.argv else signal.SIG_DFL)
    print("daemon", os.getpid(), flush=True)
    time.sleep(600)
"""
DEAF = """
    import signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    time.sleep(600)
"""
FOREST = """
    import os, subprocess, sys, time
    depth = int(sys.argv[1])
    for _ in range(2 if depth else 0):
        subprocess.Popen([sys.executable, __file__, str(depth - 1)], start_new_session=bool(depth % 2))
    print("tree", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


async def until(holds: Callable[[], object], within_s: float = 5.0) -> None:
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, "bounded wait ended"
        await asyncio.sleep(0.01)


@pytest.mark.proves("S3-8")
def test_a_server_is_started_used_stopped_and_nothing_is_left(rig: Rig) -> None:
    async def main() -> None:
        async with rig.deployed(rig.server()) as d:
            await d.start()
            address = d.address("web", "http")
            assert (await wire.get(address.host, address.port, "/", 2.0)).text == "hello 1.2.3"
            pid = d.pids("web")[0]
            environment = proc.environ(pid)
            assert environment["SEATRIAL_RUN"] == rig.run
            assert environment["HOME"].startswith(str(rig.site.work))
            assert set(environment) == {"PATH", "HOME", "TMPDIR", "LANG", "TZ", "SEATRIAL_RUN", "SEATRIAL_PROCESS"}
            assert all(claim.ok for claim in await d.claims())
            (stopped,) = await d.stop()
            assert (stopped.how, stopped.code) == ("exited", -15)
            assert not proc.alive(pid)
            assert (await d.stop())[0].how == "was-down"

    asyncio.run(main())
    assert [(e.what, e.by) for e in rig.of("start") + rig.of("ready") + rig.of("exit")] == [
        ("start", "engine"),
        ("ready", "engine"),
        ("exit", "engine"),
    ]
    assert "listening" in rig.log("web")


def test_a_daemon_that_forks_twice_is_kept_found_and_ended(rig: Rig) -> None:
    async def main() -> None:
        daemon = rig.process(
            "d", DOUBLE_FORK, ready=Ready(kind="log", pattern=r"daemon \d+", within_s=5), stop_grace_s=2
        )
        async with rig.deployed(daemon) as d:
            await d.start()
            await until(lambda: len(rig.of("start")) == 2)  # the starter, then the daemon it left
            (pid,) = d.pids("d")
            assert f"daemon {pid}" in rig.log("d")
            (stopped,) = await d.stop()
            assert stopped.how == "exited"
            assert not proc.alive(pid)
            await d.start()
            again = d.pids("d")
            await d.kill(["d"], by="f1")
            assert not any(proc.alive(p) for p in again)

    asyncio.run(main())
    assert rig.of("exit")[-1].by == "f1"


def test_a_daemon_is_found_without_cgroup_and_without_environment(rig: Rig) -> None:
    """The mark alone: env -i drops the tag, two forks drop the parent, and the group is not used."""

    async def main() -> None:
        inner = rig.script("inner.py", DOUBLE_FORK)
        command = ("/usr/bin/env", "-i", PYTHON, "-u", inner, "deaf")
        spec = Process(name="d", command=command, ready=Ready(kind="log", pattern=r"daemon"), stop_grace_s=0.3)
        async with rig.deployed(spec) as d:
            tree = d._processes["d"].tree
            for path in list(tree.groups):
                cgroups.remove(path)
            tree.group, tree.groups = None, []
            entries, tree._entries = tree._entries, {}
            await d.start()
            await until(lambda: len(d.pids("d")) == 1)
            (pid,) = d.pids("d")
            assert "SEATRIAL_RUN" not in proc.environ(pid)
            (stopped,) = await d.stop()
            assert stopped.how == "killed"
            assert not proc.alive(pid)
            for entry in entries.values():
                rig.ledger.close(entry, "removed by the test")

    asyncio.run(main())


def test_a_whole_forest_dies_at_once(rig: Rig) -> None:
    async def main() -> None:
        async with rig.deployed(rig.process("t", FOREST, "3", ready=Ready(kind="log", pattern="tree"))) as d:
            await d.start()
            await until(lambda: len(d.pids("t")) == 15)
            pids = {pid: proc.start_ticks(pid) for pid in d.pids("t")}
            await d.kill(["t"], by="f1")
            assert not any(proc.alive(pid, ticks) for pid, ticks in pids.items())

    asyncio.run(main())


def test_a_program_that_ignores_sigterm_is_killed_and_reported(rig: Rig) -> None:
    async def main() -> None:
        deaf = rig.process("deaf", DEAF, ready=Ready(kind="log", pattern="deaf"), stop_grace_s=0.4)
        async with rig.deployed(deaf) as d:
            await d.start()
            (stopped,) = await d.stop(by="f3")
            assert stopped.how == "killed"
            assert 0.4 <= stopped.took_s < 2.0

    asyncio.run(main())
    (event,) = rig.of("killed-after-grace")
    assert (event.reason, event.by) == ("SIGTERM was ignored for 0.4 s; SIGKILL used", "f3")


def test_exit_before_ready_is_noticed_at_once_with_code_and_log(rig: Rig) -> None:
    async def main() -> None:
        bad = rig.process("bad", "print('no such table'); raise SystemExit(3)", ports=("http",))
        async with rig.deployed(bad) as d:
            began = time.monotonic()
            with pytest.raises(
                StageFailed, match=r"(?s)bad: exited with code 3 after .* before it was ready.*no such table"
            ):
                await d.start()
            assert time.monotonic() - began < 5.0

    asyncio.run(main())


@pytest.mark.proves("S2-38", "S3-113")
def test_never_ready_says_what_was_seen_and_the_last_log_line(rig: Rig) -> None:
    async def main() -> None:
        ready = Ready(kind="http", port="http", path="/busy", within_s=0.6)
        async with rig.deployed(rig.server(ready=ready)) as d:
            with pytest.raises(
                NotReady, match=r"web: GET http://127.0.0.1:\d+/busy gave 503 for 0\.[67] s \(\d+ tries\); last"
            ):
                await d.start()

    asyncio.run(main())


@pytest.mark.proves("S3-104")
@pytest.mark.parametrize(
    ("ready", "said"),
    [
        (Ready(kind="tcp", port="http", within_s=0.3), "connecting to 127.0.0.1:"),
        (Ready(kind="exec", command=("false",), within_s=0.3), "command 'false' exited with 1"),
        (Ready(kind="exec", command=("sleep", "9"), within_s=0.3, timeout_s=0.1), "did not end within 0.1 s"),
        (Ready(kind="log", pattern="never", within_s=0.3), "a log line that matches 'never' did not appear"),
        (Ready(kind="protocol", function="p.py:no", port="http", within_s=0.3), "raised ValueError: not yet"),
    ],
)
def test_every_kind_of_readiness_can_fail(rig: Rig, ready: Ready, said: str) -> None:
    rig.script("p.py", "async def no(address, values):\n    raise ValueError('not yet')\n")

    async def main() -> None:
        idle = rig.process("idle", "import time; time.sleep(600)", ports=("http",), ready=ready)
        async with rig.deployed(idle) as d:
            with pytest.raises(NotReady) as caught:
                await d.start()
            assert said in caught.value.reason

    asyncio.run(main())


@pytest.mark.proves("S3-104")
@pytest.mark.parametrize(
    "ready",
    [
        Ready(kind="tcp", port="http", consecutive=3, every_s=0.02, within_s=10),
        Ready(kind="http", port="http", contains="hello", within_s=10),
        Ready(kind="exec", command=("test", "-d", "{{ data }}"), within_s=10),
        Ready(kind="log", pattern="^listening$", within_s=10),
        Ready(kind="protocol", function="p.py:yes", port="http", within_s=10),
        None,
    ],
)
def test_every_kind_of_readiness_can_succeed(rig: Rig, ready: Ready | None) -> None:
    rig.script("p.py", "async def yes(address, values):\n    assert address.port == values['port']['web']['http']\n")

    async def main() -> None:
        async with rig.deployed(rig.server(ready=ready)) as d:
            await d.start()
            assert d.pids("web")

    asyncio.run(main())


def test_a_port_that_is_taken_before_the_start_is_named_with_its_owner(rig: Rig) -> None:
    async def main() -> None:
        async with rig.deployed(rig.server()) as d:
            with socket.create_server(("127.0.0.1", d.address("web", "http").port)):
                with pytest.raises(StageFailed, match=rf"already taken by pid {os.getpid()} ") as caught:
                    await d.start()
                assert caught.value.outcome == "environment"

    asyncio.run(main())


@pytest.mark.proves("S2P-10")
def test_a_foreign_server_on_the_port_is_not_mistaken_for_ours(rig: Rig) -> None:
    """The app starts but never listens; somebody else answers 200 on its port."""

    async def main() -> None:
        idle = rig.server()
        idle = rig.process("web", "import time; time.sleep(600)", ports=("http",), ready=idle.ready)
        async with rig.deployed(idle) as d:
            starting = asyncio.create_task(d.start())
            await until(lambda: rig.of("start"))
            port = d.address("web", "http").port
            with http.server.HTTPServer(("127.0.0.1", port), http.server.SimpleHTTPRequestHandler) as server:
                thread = threading.Thread(target=server.serve_forever)
                thread.start()
                try:
                    with pytest.raises(StageFailed, match=rf"answered by pid {os.getpid()} .* not part of this run"):
                        await starting
                    (claim,) = await d.claims()
                    assert not claim.ok
                finally:
                    server.shutdown()
                    thread.join()

    asyncio.run(main())


def test_commands_that_cannot_be_started(rig: Rig) -> None:
    plain = rig.app / "plain"
    plain.write_text("x")

    async def main() -> None:
        nope = Process(name="a", command=("no-such-program",))
        mode = Process(name="b", command=(str(plain),))
        gone = Process(name="c", command=("./gone",))
        cwd = Process(name="e", command=("true",), workdir="/no/such/folder")
        async with rig.deployed(nope, mode, gone, cwd) as d:
            for name, said in [
                ("a", "not found"),
                ("b", "is not executable"),
                ("c", "not found"),
                ("e", "not a folder"),
            ]:
                with pytest.raises(StageFailed, match=rf"^{name}: .*{said}"):
                    await d.start([name])

    asyncio.run(main())


@pytest.mark.proves("S3-101")
def test_setup_runs_once_and_its_failure_is_told(rig: Rig) -> None:
    async def main() -> None:
        mark = ("sh", "-c", "echo x >> {{ data }}/setup; echo done")
        good = rig.process("good", "import time; time.sleep(600)", setup=(mark,))
        bad = rig.process("bad", "", setup=(("sh", "-c", "echo broken pipe; exit 4"),))
        async with rig.deployed(good, bad) as d:
            await d.start(["good"])
            await d.stop(["good"])
            await d.start(["good"])
            assert (rig.site.work / "data" / "setup").read_text() == "x\n"
            with pytest.raises(StageFailed, match=r"(?s)bad: setup command .* exited with 4.*broken pipe"):
                await d.start(["bad"])

    asyncio.run(main())


def test_order_of_start_and_stop(rig: Rig) -> None:
    async def main() -> None:
        idle = "import time; time.sleep(600)"
        web = rig.process("web", idle, after=("db",))
        db = rig.process("db", idle)
        async with rig.deployed(web, db) as d:
            assert list(d.names()) == ["db", "web"]
            await d.start()
            assert [s.process for s in await d.stop()] == ["web", "db"]
        circle = Rig(rig.folder / "circle")
        with pytest.raises(StageFailed, match="wait for each other"):
            async with circle.deployed(
                circle.process("a", idle, after=("b",)), circle.process("b", idle, after=("a",))
            ) as d:
                await d.start()

    asyncio.run(main())


def test_restart_policy_and_who_caused_an_exit(rig: Rig) -> None:
    async def main() -> None:
        spec = rig.server(restart="on-failure", restart_delay_s=0.1)
        async with rig.deployed(spec) as d:
            await d.start()
            first = d.pids("web")
            os.kill(first[0], 9)  # nobody of ours
            await until(lambda: len(rig.of("ready")) == 2)
            second = d.pids("web")
            assert not set(first) & set(second)
            d.expect_down(["web"], "f1")
            await d.kill(["web"], by="f1")
            await asyncio.sleep(0.4)
            assert d.pids("web") == []  # the policy is suspended
            await d.start(["web"], by="f1")
            await d.kill(["web"], by="f2")  # without expect_down the supervisor does its work
            await until(lambda: len(rig.of("ready")) == 4)

    asyncio.run(main())
    assert [e.by for e in rig.of("start")] == ["engine", "restart-policy", "f1", "restart-policy"]
    assert [e.by for e in rig.of("exit")][:3] == ["", "f1", "f2"]
    assert rig.of("exit")[0].code == -9


def test_a_clean_exit_is_not_restarted_on_failure_only(rig: Rig) -> None:
    async def main() -> None:
        short = rig.process("short", "import time; time.sleep(0.3)", restart="on-failure", restart_delay_s=0.01)
        async with rig.deployed(short) as d:
            await d.start()
            await until(lambda: rig.of("exit"))
            await asyncio.sleep(0.1)
            assert len(rig.of("start")) == 1

    asyncio.run(main())
    assert (rig.of("exit")[0].by, rig.of("exit")[0].code) == ("", 0)


@pytest.mark.parametrize("grouped", [True, False])
def test_freeze_stops_every_process_and_thaw_lets_them_go_on(rig: Rig, grouped: bool) -> None:
    async def main() -> None:
        spin = "import subprocess, sys, time\nif len(sys.argv) < 2: subprocess.Popen([sys.executable, __file__, 'x'])\n"
        async with rig.deployed(rig.process("s", spin + "while True: pass")) as d:
            one = d._processes["s"]
            if not grouped:
                one.tree.group = None
            await d.start()
            await until(lambda: len(d.pids("s")) == 2)
            await d.freeze("s")
            before = [proc.stat(pid).cpu_ticks for pid in d.pids("s")]
            await asyncio.sleep(0.2)
            assert [proc.stat(pid).cpu_ticks for pid in d.pids("s")] == before
            await d.thaw("s")
            await until(lambda: sum(proc.stat(pid).cpu_ticks for pid in d.pids("s")) > sum(before))
            await d.freeze("s")
            await d.kill(["s"], by="f1")  # a frozen one dies, too
            await d.start()
            await until(lambda: len(d.pids("s")) == 2)

    asyncio.run(main())


@pytest.mark.proves("S0P-26")
def test_a_flood_of_log_is_bounded_and_said(rig: Rig) -> None:
    async def main() -> None:
        flood = "print('first words', flush=True)\nwhile True: print('x' * 1000)"
        async with rig.deployed(rig.process("f", flood, limits=Limits(log=1 << 20))) as d:
            await d.start()
            await until(lambda: rig.of("log-limit"))
            await asyncio.sleep(0.5)
            await d.kill(["f"], by="engine")

    asyncio.run(main())
    text = rig.log("f")
    assert text.startswith("first words")
    assert "bytes dropped here, the log's limit is 1048576" in text
    assert len(text) < 2 << 20
    assert len(rig.of("log-limit")) == 1


def test_a_process_that_fills_its_disk_limit_is_ended(rig: Rig) -> None:
    async def main() -> None:
        fill = (
            "import os, time\nf = open(os.environ['HOME'] + '/big', 'wb', 0)\nf.write(b'x' * 4000000); time.sleep(600)"
        )
        spec = rig.process("f", fill, limits=Limits(disk=1_000_000), restart="always")
        async with rig.deployed(spec) as d:
            await d.start()
            await until(lambda: rig.of("exit"))
            assert d.pids("f") == []

    asyncio.run(main())
    assert "its limit is" in rig.of("disk-limit")[0].reason
    assert rig.of("exit")[0].by == "limits"


def test_limits_are_held_or_named(rig: Rig) -> None:
    async def main() -> None:
        program = "import resource; print('files', resource.getrlimit(7), flush=True); import time; time.sleep(600)"
        limits = Limits(files=123, pids=50, memory=64 << 20)
        async with rig.deployed(
            rig.process("l", program, limits=limits, ready=Ready(kind="log", pattern="files"))
        ) as d:
            await d.start()
            places = cgroups.parents()
            assert ("(123, 123)" in rig.log("l")) is True
            held_pids = "pids" in places.v1 or (places.v2 is not None and (places.v2 / "pids.max").exists())
            assert any("tasks" in words for words in d.unenforced) is not held_pids

    asyncio.run(main())


def test_templates_fill_configs_environment_and_command(rig: Rig) -> None:
    async def main() -> None:
        text = "port={{ port.http }} peer={{ port.web.http }} data={{ data }}"
        text += " own={{ config.app_ini }} {{ environ('HOME') }}"
        spec = rig.server(configs=(ConfigFile(name="app.ini", text=text),), env={"CONF": "{{ config.app }}"})
        async with rig.deployed(spec) as d:
            await d.start()
            path = Path(proc.environ(d.pids("web")[0])["CONF"])
            port = d.address("web", "http").port
            home = os.environ["HOME"]
            assert path.read_text() == f"port={port} peer={port} data={rig.site.work}/data own={path} {home}"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            "{{ prot.http }}",
            r"web: command\[1\] = '\{\{ prot.http \}\}': 'prot' is undefined; known names: .*did you mean",
        ),
        ("{{ port.htpp }}", "'htpp'"),
        ("{{ link.db.port }}", "known names: .*app_dir, data"),
        ("{% if %}", "line 1"),
        ("{{ environ('NO_SUCH') }}", "has no variable NO_SUCH"),
    ],
)
def test_a_template_mistake_is_one_clear_sentence(rig: Rig, command: str, said: str) -> None:
    async def main() -> None:
        async with rig.deployed(Process(name="web", command=("true", command), ports=("http",))) as d:
            with pytest.raises(StageFailed, match=said) as caught:
                await d.start()
            assert caught.value.outcome == "not-tested"

    asyncio.run(main())


def test_config_outside_of_its_folder_is_refused_and_leaves_nothing(rig: Rig) -> None:
    async def main() -> None:
        spec = rig.server(configs=(ConfigFile(name="../../../x", text="x"),))
        with pytest.raises(StageFailed, match="outside of the process's own folder"):
            await rig.prepare(spec)
        assert marks.of_run(rig.run) == {}
        assert not rig.site.work.exists()

    asyncio.run(main())
    rig.ledger.dispose()


def test_keep_leaves_the_work_folder(tmp_path: Path) -> None:
    rig = Rig(tmp_path, keep=True)

    async def main() -> None:
        async with rig.deployed(rig.server()) as d:
            await d.start()

    asyncio.run(main())
    assert (rig.site.work / "data").is_dir()


@pytest.mark.skipif(not capabilities.have("memory-limit"), reason="no writable memory cgroup (see seatrial doctor)")
def test_a_process_over_its_memory_limit_is_killed_and_the_reason_is_told(rig: Rig) -> None:
    async def main() -> None:
        grow = "x = []\nwhile True: x.append(bytearray(1 << 20))"
        async with rig.deployed(rig.process("g", grow, limits=Limits(memory=48 << 20))) as d:
            with contextlib.suppress(StageFailed):  # it may be ready for a moment before it has grown so far
                await d.start()
            await until(lambda: rig.of("exit"))

    asyncio.run(main())
    (event,) = rig.of("exit")
    assert (event.code, event.by, event.reason) == (-9, "", "the kernel killed it: its memory limit was reached")


def test_it_works_on_uvloop_too(rig: Rig) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def main() -> None:
        async with rig.deployed(rig.server(restart="always", restart_delay_s=0.01)) as d:
            await d.start()
            os.kill(d.pids("web")[0], 9)
            await until(lambda: len(rig.of("ready")) == 2)
            assert (await d.stop())[0].how == "exited"

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


@pytest.mark.parametrize("seed", range(4))
def test_any_mix_of_verbs_keeps_the_record_straight(rig: Rig, seed: int) -> None:
    """Starts and exits alternate, the record agrees with the system, and nothing is left, whatever was done at once."""
    chance = random.Random(seed)

    async def main() -> None:
        spec = rig.process(
            "s", "import time; time.sleep(600)", restart="always", restart_delay_s=0.02, stop_grace_s=1.0
        )
        async with rig.deployed(spec) as d:
            if seed % 2:
                d._processes["s"].tree.group = None  # by signals, as without cgroups
            verbs = {
                "start": lambda: d.start(["s"], by="v"),
                "stop": lambda: d.stop(["s"], by="v"),
                "kill": lambda: d.kill(["s"], by="v"),
                "freeze": lambda: d.freeze("s"),
                "thaw": lambda: d.thaw("s"),
                "outside": lambda: asyncio.to_thread(lambda: [proc.send(pid, 0, 9) for pid in d.pids("s")]),
            }
            for _ in range(12):
                chosen = [verbs[chance.choice(sorted(verbs))]() for _ in range(chance.choice((1, 1, 2)))]
                for result in await asyncio.gather(*chosen, return_exceptions=True):
                    assert result is None or isinstance(result, (StageFailed, list))
                await asyncio.sleep(chance.uniform(0, 0.1))
            await d.thaw("s")
            await d.start(["s"], by="end")
            assert len(d.pids("s")) == 1

    asyncio.run(main())
    order = [e.what for e in rig.events if e.what in ("start", "exit")]
    assert order == ["start", "exit"] * (len(order) // 2)
