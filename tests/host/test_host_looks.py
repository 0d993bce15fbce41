"""What the host part reads: processes, listeners, free ports, groups, capabilities."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.host import capabilities, cgroups, elsewhere, marks, proc, sockets


@settings(max_examples=200)
@given(st.text(max_size=15).filter(lambda t: "\0" not in t), st.integers(1, 2**40), st.sampled_from("RSDZTt"))
def test_stat_lines_of_any_program_name(name: str, ticks: int, state: str) -> None:
    fields = [state, "7", "8", "9", *["0"] * 7, "3", "4", *["0"] * 6, str(ticks), "0", "0"]
    found = proc.parse_stat(5, f"5 ({name}) {' '.join(fields)}")
    assert found is not None
    assert (found.state, found.ppid, found.session, found.cpu_ticks, found.start_ticks) == (state, 7, 9, 7, ticks)
    assert found.dead is (state == "Z")


@settings(max_examples=200)
@given(st.text(), st.text())
def test_marks_fit_a_limit_and_tell_processes_apart(tag: str, process: str) -> None:
    value = marks.mark(tag, process)
    assert 0 < value < 2**62
    assert marks.mark(tag, process + "x") != value
    assert marks.mark(tag + "x", process) != value


@settings(max_examples=20, deadline=None)
@given(st.text(min_size=1))
def test_any_mark_is_read_back_from_a_process(tag: str) -> None:
    value = marks.mark(tag, "web")
    child = subprocess.Popen(["sleep", "600"], env={}, executable="/bin/sleep", preexec_fn=lambda: marks.apply(value))
    try:
        assert marks.of_run(tag, ("web",)) == {child.pid: proc.start_ticks(child.pid)}
        assert marks.of_run(tag, ("db",)) == {}
    finally:
        child.kill()
        child.wait()


@pytest.mark.proves("S2P-11")
def test_a_zombie_is_dead_and_a_pid_with_another_start_is_a_stranger() -> None:
    child = subprocess.Popen(["sleep", "600"])
    end = time.monotonic() + 5
    while not proc.command(child.pid) and time.monotonic() < end:  # it is empty for an instant while exec works
        pass
    ticks = proc.start_ticks(child.pid)
    assert proc.alive(child.pid, ticks)
    assert not proc.alive(child.pid, ticks + 1)
    assert not proc.send(child.pid, ticks + 1, 9)
    assert child.pid in proc.descendants([os.getpid()], proc.all_stats())
    assert proc.describe(child.pid) == f"pid {child.pid} (sleep 600)"
    assert proc.send(child.pid, ticks, 9)
    assert proc.wait_gone({child.pid: ticks}, 5.0) == []
    assert proc.stat(child.pid) is not None  # still a zombie
    child.wait()
    assert proc.stat(child.pid) is None


@pytest.mark.parametrize(
    ("family", "bound"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]
)
def test_the_owner_of_a_listening_socket_is_found(family: socket.AddressFamily, bound: str) -> None:
    with socket.create_server((bound, 0), family=family, dualstack_ipv6=bound == "::") as server:
        port = server.getsockname()[1]
        (found,) = sockets.listeners(port)
        assert (found.host, found.pids) == (bound, (os.getpid(),))
        assert found.owner().startswith(f"pid {os.getpid()} (")
        assert sockets.listeners(port, among=[1])[0].pids == ()
        assert not sockets.can_bind("127.0.0.1", port)
    assert sockets.listeners(port) == []


def test_a_listener_on_another_address_does_not_count() -> None:
    with socket.create_server(("127.0.0.2", 0)) as server:
        assert sockets.listeners(server.getsockname()[1]) == []


def test_free_ports_are_all_different_and_cannot_be_taken_by_clients() -> None:
    ports = [sockets.free_port() for _ in range(300)]
    assert len(set(ports)) == 300
    start = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(ports) < start
    assert all(sockets.can_bind("127.0.0.1", port) for port in ports)
    sockets.give_back(ports)


def test_capabilities_are_probed_fast_and_leave_nothing() -> None:
    before = set(proc.pids())
    began = time.perf_counter()
    found = {one.name: one for one in capabilities.probe()}
    assert time.perf_counter() - began < 3.0  # about 0.06 s; the bound only keeps it from hanging
    assert all(one.used_for and one.how for one in found.values())
    assert found["root"].present is (os.geteuid() == 0)
    assert capabilities.have("linux") is found["linux"].present
    with pytest.raises(KeyError):
        capabilities.have("flux capacitor")
    ours = [pid for pid in set(proc.pids()) - before if proc.stat(pid) and proc.stat(pid).ppid == os.getpid()]  # type: ignore[union-attr]
    assert ours == []
    places = cgroups.parents()
    assert not [
        p for parent in (places.v2, *places.v1.values()) if parent for p in parent.glob(f"{cgroups.PREFIX}probe-*")
    ]


def test_without_proc_psutil_tells_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(
        ["sleep", "600"], env={"A": "b", **marks.environment("t", "web")}, executable="/bin/sleep"
    ) as child:
        monkeypatch.setattr(proc, "HAS_PROC", False)
        assert child.pid in proc.pids()
        assert (proc.command(child.pid), proc.environ(child.pid)["A"]) == (["sleep", "600"], "b")
        assert Path(proc.exe(child.pid)).name in ("sleep", "busybox", "coreutils")
        ticks = proc.start_ticks(child.pid)
        assert proc.alive(child.pid, ticks)
        assert proc.stat(child.pid).ppid == os.getpid()  # type: ignore[union-attr]
        assert not proc.send(child.pid, ticks + 1, 9)
        assert proc.send(child.pid, ticks, 9)
        assert proc.wait_gone({child.pid: ticks}, 5.0) == []
        assert elsewhere.stat(2**22 + 1) is None
