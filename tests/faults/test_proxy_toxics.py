"""The fault proxy over real sockets: what each toxic does to live and new connections, and what stays untouched."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest
from linkkit import Driver, Refused, driving, end_of, exactly, quiet, rest, slam, until

DELAYING = [
    ("latency", {"latency": 0.02, "jitter": 0.01, "direction": "both"}),
    ("bandwidth", {"rate": 2_000_000}),
]


@pytest.fixture(scope="module")
def shared() -> Iterator[Driver]:
    with driving() as driver:
        yield driver


def drained(shared: Driver) -> bool:
    shared.listener.settimeout(0)
    try:
        while True:
            shared.listener.accept()[0].close()
    except BlockingIOError:
        return bool(shared.order("stats")["open"] == 0)


@pytest.fixture
def proxy(shared: Driver) -> Iterator[Driver]:
    shared.aim(shared.listener)
    yield shared
    shared.clean()
    for name in shared.order("stats")["toxics"]:
        shared.remove(name)
    until(lambda: drained(shared))


# -- nothing in force


def test_bytes_pass_both_ways(proxy: Driver) -> None:
    near, far = proxy.join()
    near.sendall(b"there")
    assert exactly(far, 5) == b"there"
    far.sendall(b"and back")
    assert exactly(near, 8) == b"and back"


@pytest.mark.parametrize("toxic", [None, *DELAYING], ids=["plain", "latency", "bandwidth"])
def test_half_close_keeps_the_response(proxy: Driver, toxic: tuple | None) -> None:
    if toxic:
        proxy.add(toxic[0], **toxic[1])
    near = proxy.connect()
    near.sendall(b"q" * 100_000)
    near.shutdown(socket.SHUT_WR)
    far = proxy.accept()
    assert rest(far) == b"q" * 100_000
    far.sendall(b"r" * 300_000)
    far.close()
    assert rest(near) == b"r" * 300_000


def test_half_close_from_the_far_end_keeps_the_request(proxy: Driver) -> None:
    near, far = proxy.join()
    far.sendall(b"bye")
    far.shutdown(socket.SHUT_WR)
    assert rest(near) == b"bye"
    near.sendall(b"still talking")
    near.close()
    assert rest(far) == b"still talking"


def test_an_end_stays_what_it_was(proxy: Driver) -> None:
    near, far = proxy.join()
    far.close()
    assert end_of(near) == "closed"
    near, far = proxy.join()
    slam(far)
    assert end_of(near) == "reset"
    near, far = proxy.join()
    slam(near)
    assert end_of(far) == "reset"


def test_answer_of_a_server_that_does_not_read_arrives_before_the_reset(proxy: Driver) -> None:
    near, far = proxy.join()
    near.sendall(b"x" * 1000)
    until(lambda: not quiet(far, 0))
    far.sendall(b"413")
    far.close()  # with unread bytes: the kernel resets
    assert exactly(near, 3) == b"413"
    with pytest.raises(ConnectionResetError):
        rest(near)


def test_reset_after_the_far_end_was_closed_reaches_a_writing_client(proxy: Driver) -> None:
    near, far = proxy.join()
    far.close()
    assert near.recv(1) == b""

    def refused() -> bool:
        try:
            near.sendall(b"x")
        except (BrokenPipeError, ConnectionResetError):
            return True
        return False

    until(refused)
    until(lambda: proxy.order("stats")["open"] == 0)


def test_slow_reader_meets_back_pressure_not_our_memory(proxy: Driver) -> None:
    memory = psutil.Process(proxy.process.pid)
    before = memory.memory_info().rss
    for toxic in (None, {"latency": 0.001, "direction": "both"}):
        if toxic:
            proxy.add("latency", **toxic)
        near, far = proxy.join()
        near.setblocking(False)
        sent, stuck = 0, 0
        while stuck < 12:
            try:
                sent += near.send(bytes(1 << 20))
                stuck = 0
            except BlockingIOError:
                stuck += 1
                time.sleep(0.005)
        assert sent < 64 << 20
        assert memory.memory_info().rss - before < 24 << 20
        near.setblocking(True)
        near.shutdown(socket.SHUT_WR)
        assert len(rest(far)) == sent


def test_two_hundred_connections_at_once(proxy: Driver) -> None:
    pairs = [proxy.join() for _ in range(200)]
    assert proxy.order("stats")["open"] == 200
    for number, (near, _) in enumerate(pairs):
        near.sendall(b"%06d" % number * 1000)
    for number, (near, far) in enumerate(pairs):
        assert exactly(far, 6000) == b"%06d" % number * 1000
        far.sendall(b"%06d" % number)
        assert exactly(near, 6) == b"%06d" % number


# -- the far end


def test_far_end_that_is_down_resets_the_client_and_is_counted(proxy: Driver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        proxy.aim(gone)
    before = proxy.order("stats")["refused"]
    with pytest.raises(ConnectionResetError):
        rest(proxy.connect())
    assert proxy.order("stats")["refused"] == before + 1
    proxy.aim(proxy.listener)
    near, far = proxy.join()
    near.sendall(b"up")
    assert exactly(far, 2) == b"up"


def test_far_end_that_never_answers_stalls_nobody_else() -> None:
    with driving(dial_s=0.8) as proxy, socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        fill = [socket.socket() for _ in range(4)]  # a full backlog: the kernel answers no SYN any more
        for sock in fill:
            sock.setblocking(False)
            sock.connect_ex(deaf.getsockname())
        proxy.aim(deaf)
        hung = proxy.connect()
        until(lambda: proxy.order("stats")["accepted"] == 1)
        proxy.aim(proxy.listener)
        near, far = proxy.join()
        near.sendall(b"alive")
        assert exactly(far, 5) == b"alive"
        assert end_of(hung) == "reset"
        assert proxy.order("stats")["refused"] == 1
        for sock in fill:
            sock.close()


def test_before_it_is_aimed_connections_are_reset() -> None:
    words = [sys.executable, "-m", "seatrial.faults.proxy", "s", "1", str(os.getpid())]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().split(b'"port":')[1].split(b",")[0])
        with pytest.raises(ConnectionResetError), socket.create_connection(("127.0.0.1", port), 5) as near:
            rest(near)
        process.communicate(timeout=5)


# -- cut, refuse


def refused(proxy: Driver) -> bool:
    try:
        socket.create_connection(proxy.target, 5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_cut_closes_live_connections_and_refuses_new_ones(proxy: Driver) -> None:
    near, far = proxy.join()
    proxy.add("cut")
    assert end_of(near) == "closed"
    assert end_of(far) == "closed"
    assert refused(proxy)
    with pytest.raises(OSError, match="in use"), socket.socket() as thief:  # the port stays ours
        thief.bind(proxy.target)
    proxy.remove()
    near, far = proxy.join()
    near.sendall(b"again")
    assert exactly(far, 5) == b"again"


def test_refuse_leaves_live_connections_alone(proxy: Driver) -> None:
    near, far = proxy.join()
    proxy.add("refuse", "a")
    proxy.add("refuse", "b")
    assert refused(proxy)
    near.sendall(b"on")
    assert exactly(far, 2) == b"on"
    proxy.remove("a")
    assert refused(proxy)
    proxy.remove("b")
    assert not refused(proxy)


def test_who_was_connected_before_the_refusal_was_not_refused(proxy: Driver) -> None:
    os.kill(proxy.process.pid, signal.SIGSTOP)
    proxy.raw(b'{"id": 1, "op": "add", "name": "t", "kind": "refuse"}\n')
    near = proxy.connect()  # by the kernel; the proxy hears of both at once, of the order first
    os.kill(proxy.process.pid, signal.SIGCONT)
    assert proxy.answer() == {"id": 1, "ok": None}
    assert refused(proxy)
    near.sendall(b"in")
    assert exactly(proxy.accept(), 2) == b"in"


# -- reset


def test_reset_is_a_real_rst_to_live_and_new_connections(proxy: Driver) -> None:
    near, far = proxy.join()
    proxy.add("reset")
    assert end_of(near) == "reset"
    assert end_of(far) == "reset"
    with pytest.raises(ConnectionResetError):  # by connect itself, or right after it
        rest(proxy.connect())
    proxy.remove()
    near, far = proxy.join()
    near.close()
    assert end_of(far) == "closed"


def test_reset_of_live_connections_only(proxy: Driver) -> None:
    near, _ = proxy.join()
    proxy.add("reset", new=False)
    assert end_of(near) == "reset"
    near, far = proxy.join()
    near.sendall(b"fine")
    assert exactly(far, 4) == b"fine"


# -- blackhole


def test_blackhole_holds_and_lets_go_on(proxy: Driver) -> None:
    near, far = proxy.join()
    proxy.add("blackhole")
    near.sendall(b"up")
    far.sendall(b"down")
    assert quiet(far)
    assert quiet(near)
    until(lambda: proxy.order("stats")["held_bytes"] == 6)
    proxy.remove()
    assert exactly(far, 2) == b"up"
    assert exactly(near, 4) == b"down"


def test_blackhole_in_one_direction(proxy: Driver) -> None:
    near, far = proxy.join()
    proxy.add("blackhole", direction="down")
    near.sendall(b"up")
    assert exactly(far, 2) == b"up"
    far.sendall(b"down")
    assert quiet(near)
    proxy.remove()
    assert exactly(near, 4) == b"down"


def test_blackhole_may_end_in_a_reset(proxy: Driver) -> None:
    near, far = proxy.join()
    proxy.add("blackhole", after="reset")
    near.sendall(b"lost")
    assert quiet(near)
    proxy.remove()
    assert end_of(near) == "reset"
    with pytest.raises(ConnectionResetError):
        far.recv(10)


def test_new_connection_in_a_blackhole_arrives_when_it_is_healed_unless_the_client_left(proxy: Driver) -> None:
    proxy.add("blackhole")
    patient, gone = proxy.connect(), proxy.connect()
    patient.sendall(b"patient")
    gone.sendall(b"gone")
    gone.close()
    assert quiet(proxy.listener)
    proxy.remove()
    far = proxy.accept()
    assert exactly(far, 7) == b"patient"
    assert quiet(proxy.listener)


def test_fin_and_rst_are_held_in_order_behind_the_bytes(proxy: Driver) -> None:
    (near, far), (near2, far2) = proxy.join(), proxy.join()
    proxy.add("blackhole")
    near.sendall(b"last words")
    near.close()
    slam(near2)
    assert quiet(far)
    assert quiet(far2)
    cpu = psutil.Process(proxy.process.pid).cpu_times()
    assert quiet(far, 0.3)
    later = psutil.Process(proxy.process.pid).cpu_times()
    assert later.user + later.system - cpu.user - cpu.system < 0.1  # a held end is not a busy loop
    proxy.remove()
    assert rest(far) == b"last words"
    assert end_of(far2) == "reset"


def test_a_reset_that_was_met_while_writing_is_still_a_reset_after_the_heal(proxy: Driver) -> None:
    near, far = proxy.join()
    proxy.add("blackhole", direction="down")
    slam(far)
    near.sendall(b"into the void")
    until(lambda: psutil.Process(proxy.process.pid).status() == psutil.STATUS_SLEEPING)
    assert quiet(near)
    proxy.remove()
    assert end_of(near) == "reset"


# -- latency, bandwidth


def one_way(source: socket.socket, sink: socket.socket) -> float:
    begin = time.monotonic()
    source.sendall(b"x")
    exactly(sink, 1)
    return time.monotonic() - begin


def test_latency_on_live_and_new_connections_in_its_direction(proxy: Driver) -> None:
    live = proxy.join()
    proxy.add("latency", latency=0.15, direction="up")
    for near, far in (live, proxy.join()):
        assert 0.149 <= one_way(near, far) < 1
        assert one_way(far, near) < 0.1
    proxy.remove()
    assert one_way(*live) < 0.1


def test_latency_is_pipelined_and_keeps_order(proxy: Driver) -> None:
    near, far = proxy.join()
    proxy.add("latency", latency=0.2, jitter=0.2, direction="up")
    begin = time.monotonic()
    for number in range(50):
        near.sendall(bytes([number]))
        time.sleep(0.002)
    assert exactly(far, 50) == bytes(range(50))
    assert time.monotonic() - begin < 2  # one after the other they would take 10 s


def test_jitter_stays_in_its_bounds(proxy: Driver) -> None:
    near, far = proxy.join()
    proxy.add("latency", latency=0.05, jitter=0.03, direction="up")
    found = sorted(one_way(near, far) for _ in range(25))
    assert found[0] >= 0.0195
    assert found[-1] - found[0] > 0.015
    assert found[12] < 0.2


def test_handshake_over_a_slow_line_costs_a_round_trip(proxy: Driver) -> None:
    proxy.add("latency", latency=0.1, direction="both")
    begin = time.monotonic()
    near = proxy.connect()
    near.sendall(b"x")
    far = proxy.accept()
    exactly(far, 1)
    assert time.monotonic() - begin >= 0.299  # SYN and SYN-ACK, then the byte


def test_bandwidth_is_what_was_asked_for_each_way(proxy: Driver) -> None:
    near, far = proxy.join()
    proxy.add("bandwidth", rate=400_000)
    for source, sink in ((near, far), (far, near)):
        begin = time.monotonic()
        source.sendall(bytes(200_000))
        exactly(sink, 200_000)
        assert 0.45 <= time.monotonic() - begin < 2
    proxy.remove()
    assert one_way(near, far) < 0.1


def test_very_low_rate_still_trickles(proxy: Driver) -> None:
    near, far = proxy.join()
    proxy.add("bandwidth", rate=20, direction="up")
    near.sendall(b"abcdefgh")
    begin = time.monotonic()
    assert exactly(far, 8) == b"abcdefgh"
    assert 0.3 < time.monotonic() - begin < 2


def test_toxics_add_up(proxy: Driver) -> None:
    near, far = proxy.join()
    proxy.add("latency", "a", latency=0.1, direction="up")
    proxy.add("latency", "b", latency=0.1, direction="up")
    assert one_way(near, far) >= 0.199
    proxy.remove("a")
    assert 0.099 <= one_way(near, far) < 0.19
    proxy.add("bandwidth", "c", rate=100_000, direction="up")
    begin = time.monotonic()
    near.sendall(bytes(20_000))
    exactly(far, 20_000)
    assert time.monotonic() - begin >= 0.27


def test_healing_lets_go_what_was_delayed(proxy: Driver) -> None:
    near, far = proxy.join()
    proxy.add("latency", latency=60, direction="up")
    near.sendall(b"soon")
    until(lambda: proxy.order("stats")["held_bytes"] == 4)
    proxy.remove()
    assert exactly(far, 4) == b"soon"


# -- toxicity


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("reset", {}),
        ("blackhole", {}),
        ("blackhole", {"after": "reset"}),
        ("latency", {"latency": 5, "direction": "both"}),
        ("bandwidth", {"rate": 1}),
    ],
)
def test_toxicity_zero_is_a_pure_no_op(proxy: Driver, kind: str, params: dict) -> None:
    live = proxy.join()
    proxy.add(kind, toxicity=0, **params)
    pairs = [live, *(proxy.join() for _ in range(25))]
    for near, far in pairs:
        near.sendall(b"ask")
        assert exactly(far, 3) == b"ask"
        far.sendall(b"answer")
        assert exactly(near, 6) == b"answer"
    proxy.remove()
    for number, (near, far) in enumerate(pairs):
        first, second = (near, far) if number % 2 else (far, near)
        first.close()
        assert end_of(second) == "closed"


def hit_set(proxy: Driver, count: int, name: str = "t") -> list[bool]:
    pairs = [proxy.join() for _ in range(count)]
    proxy.add("reset", name, toxicity=0.5, new=False)
    return [not quiet(near, 0.02) and end_of(near) == "reset" for near, _ in pairs]


def test_same_seed_hits_the_same_connections() -> None:
    found = []
    for seed in ("one", "one", "two"):
        with driving(seed=seed) as proxy:
            found.append(hit_set(proxy, 60))
    assert found[0] == found[1]
    assert found[0] != found[2]
    assert 15 <= sum(found[0]) <= 45


def test_same_seed_draws_the_same_jitter_whatever_else_is_put_in_between() -> None:
    found = []
    for between in (False, True):
        with driving(seed="j") as proxy:
            near, far = proxy.join()
            proxy.add("latency", latency=0.15, jitter=0.15, direction="up")
            first = [one_way(near, far) for _ in range(3)]
            if between:
                proxy.add("latency", "other", latency=0.0, direction="up")
            found.append(first + [one_way(near, far) for _ in range(3)])
    assert all(abs(a - b) < 0.04 for a, b in zip(*found, strict=True)), found
    assert max(found[0]) - min(found[0]) > 0.1


def test_share_is_drawn_once_for_a_connection(proxy: Driver) -> None:
    pairs = [proxy.join() for _ in range(40)]
    proxy.add("blackhole", "hole", toxicity=0.5, direction="up")

    def held() -> list[bool]:
        for near, _ in pairs:
            near.sendall(b"x")
        return [quiet(far, 0.01) for _, far in pairs]

    first = held()
    assert 8 <= sum(first) <= 32
    for (_, far), is_held in zip(pairs, first, strict=True):
        if not is_held:
            exactly(far, 1)
    proxy.add("latency", "other", latency=0.001)  # the chain changes; nobody is drawn again
    assert held() == first


# -- attributes and orders


@pytest.mark.parametrize(
    ("kind", "params", "words"),
    [
        ("latency", {"latency": -1}, "at least"),
        ("latency", {"latency": float("nan")}, "malformed"),
        ("latency", {"latency": "100ms"}, "duration is wanted"),
        ("latency", {"latency": True}, "duration is wanted"),
        ("latency", {}, "must be given"),
        ("latency", {"latency": 1, "jitter": 2}, "more than the latency"),
        ("latency", {"latency": 1, "toxicity": 1.5}, "at most"),
        ("latency", {"latency": 1, "direction": "sideways"}, "up, down, both"),
        ("latency", {"latency": 1, "jiter": 1}, "did you mean 'jitter'"),
        ("bandwidth", {"rate": 0}, "at least"),
        ("bandwidth", {"rate": 1.5}, "size is wanted"),
        ("blackhole", {"after": "never"}, "continue, reset"),
        ("cut", {"toxicity": 0.5}, "no attribute 'toxicity'"),
        ("latencey", {}, "did you mean 'latency'"),
    ],
)
def test_bad_attributes_are_refused(proxy: Driver, kind: str, params: dict, words: str) -> None:
    with pytest.raises(Refused, match=words):
        proxy.add(kind, **params)
    assert proxy.order("stats")["toxics"] == {}


def test_name_is_given_once_and_removed_once(proxy: Driver) -> None:
    proxy.add("latency", latency=0.01)
    with pytest.raises(Refused, match="in force already"):
        proxy.add("cut")
    proxy.remove()
    with pytest.raises(Refused, match="in force: none"):
        proxy.remove()


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe garbage",
        b"[]",
        b'{"op": "fly"}',
        b'{"op": "aim", "host": "", "port": 1}',
        b'{"op": "aim", "host": "h", "port": 99999}',
        b'{"op": "add", "name": "x", "kind": "cut", "params": []}',
        b'{"op": "admit", "port": 5, "far": 7}',
        b"",
        b"x" * 1_200_000,
    ],
)
def test_garbage_is_answered_and_does_no_harm(proxy: Driver, line: bytes) -> None:
    proxy.raw(line + b"\n")
    assert proxy.answer()["error"]
    while len(line) > 1_000_000 and not quiet(proxy.process.stdout, 0.2):  # type: ignore[arg-type]
        proxy.answer()
    near, far = proxy.join()
    near.sendall(b"fine")
    assert exactly(far, 4) == b"fine"


def test_counters_count_users_and_not_probers(proxy: Driver) -> None:
    before = proxy.order("stats")
    near, far = proxy.join()
    near.sendall(b"12345")
    exactly(far, 5)
    far.sendall(b"123")
    exactly(near, 3)
    prober = socket.socket()
    prober.bind(("127.0.0.1", 0))
    port = prober.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as own:
        host, at = own.getsockname()
        proxy.order("admit", port=port, far={"host": host, "port": at})
        assert proxy.order("seen", port=port) == "expected"
        prober.connect(proxy.target)
        end, _ = own.accept()
        assert proxy.order("seen", port=port) == "joined"
        prober.sendall(b"not counted")
        assert exactly(end, 11) == b"not counted"
        prober.close()
        end.close()
    until(lambda: proxy.order("seen", port=port) in ("ended", "reset"))
    after = proxy.order("stats")
    grown = {k: after[k] - before[k] for k in ("accepted", "bytes_up", "bytes_down", "open", "refused", "reset")}
    assert grown == {"accepted": 1, "bytes_up": 5, "bytes_down": 3, "open": 1, "refused": 0, "reset": 0}
    assert after["held_bytes"] == 0


# -- the process


def test_it_takes_all_descriptors_it_may_have() -> None:
    with driving(before=("sh", "-c", 'ulimit -Sn 40; exec "$0" "$@"')) as proxy:
        pairs = [proxy.join() for _ in range(60)]
        for near, far in pairs:
            near.sendall(b"x")
            assert exactly(far, 1) == b"x"


def test_without_descriptors_it_waits_without_spinning_and_goes_on() -> None:
    with driving(before=("sh", "-c", 'ulimit -n 30; exec "$0" "$@"')) as proxy:
        many = [proxy.connect() for _ in range(40)]
        until(lambda: proxy.order("stats")["accepted"] >= 10)
        process = psutil.Process(proxy.process.pid)
        before = process.cpu_times()
        assert quiet(many[0], 0.3)
        after = process.cpu_times()
        assert after.user + after.system - before.user - before.system < 0.1
        proxy.clean()
        until(lambda: drained(proxy) and proxy.order("stats")["accepted"] == 40)
        near, far = proxy.join()
        near.sendall(b"on")
        assert exactly(far, 2) == b"on"


def test_it_ends_with_its_stdin() -> None:
    driver = Driver()
    assert driver.process.stdin is not None
    driver.process.stdin.close()
    assert driver.process.wait(5) == 0
    driver.process.stdin = None
    driver.close()


def test_it_ends_with_its_parent() -> None:
    code = (
        "import subprocess, sys, os, time\n"
        "p = subprocess.Popen([sys.executable, '-m', 'seatrial.faults.proxy', 's', '1', str(os.getpid())])\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline().split(b'"pid":')[1].split(b"}")[0])
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait(5)
        until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
