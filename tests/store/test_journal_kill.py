"""SIGKILL of a real writer at random moments: every op that it acknowledged is in the journal. Its memory is flat."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from seatrial.history import OpOutcome
from seatrial.store.journal_read import read_recorded

WRITER = """
import os, sys
from seatrial.store.journal import JournalWriter
writer = JournalWriter(sys.argv[1], 3, segment_records=64)
flying = []
number = 0
while True:
    # up to 9 in flight; every acknowledgement is one write to the pipe, after the journal's call returned
    name, key, value = f"op{number % 7}", f"key-{number % 50}", f"value-{number}"
    handle = writer.begin(1, name, key, value, 1, number % 9, 0, number, number)
    os.write(1, b"b%d\\n" % number)
    flying.append((handle, number))
    number += 1
    if len(flying) == 9 or number % 3 == 0:
        handle, done = flying.pop(number * 7 % len(flying))
        writer.complete(handle, 2 + done % 3, done + 1, 200, f"e{done % 5}" if done % 3 else None, f"result-{done}")
        os.write(1, b"c%d\\n" % done)
"""


def acknowledged(folder: Path, after: int) -> tuple[set[int], set[int]]:
    """Run the writer, kill it after some acknowledgements, and return the numbers that it said begun, completed."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        text = b""
        while text.count(b"\n") < after:
            piece = process.stdout.read1(4096)
            assert piece, "the writer ended by itself"
            text += piece
        process.kill()
        text += process.stdout.read()
    lines = text[: text.rfind(b"\n")].split(b"\n")
    begun = {int(line[1:]) for line in lines if line[:1] == b"b"}
    return begun, {int(line[1:]) for line in lines if line[:1] == b"c"}


@pytest.mark.real
@pytest.mark.proves("S0-16")
@pytest.mark.parametrize("seed", range(20))
def test_what_a_killed_writer_acknowledged_is_readable(tmp_path: Path, seed: int) -> None:
    begun, completed = acknowledged(tmp_path, Random(seed).randrange(1, 3000))
    recorded = read_recorded(tmp_path)
    ops = recorded.ops
    numbers = ops.started_ns.tolist()
    assert begun <= set(numbers)
    assert len(numbers) <= len(begun) + 1
    assert numbers == list(range(len(numbers)))
    assert recorded.torn <= 1
    for number in numbers:
        assert (ops.text(ops.key[number]), ops.text(ops.value[number])) == (f"key-{number % 50}", f"value-{number}")
        assert ops.names[ops.name[number]] == f"op{number % 7}"
        if number in completed:
            assert ops.outcome[number] == 2 + number % 3
            assert ops.text(ops.result[number]) == f"result-{number}"
            assert ops.error[number] < 0 if number % 3 == 0 else ops.names[ops.error[number]] == f"e{number % 5}"
    in_flight = int((ops.outcome == OpOutcome.IN_FLIGHT).sum())
    assert len(numbers) - len(completed) - 1 <= in_flight <= len(numbers) - len(completed)


MEMORY = """
import sys
from seatrial.store.journal import JournalWriter

def rss():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024

writer = JournalWriter(sys.argv[1], 0)
writer.begin(1, "stays in flight", "k", "v", 1, 0, 0, 0, 0)
seen = []
for number in range(2_000_000):
    handle = writer.begin(1, "put", number.to_bytes(8, "little"), b"12345678", 1, 0, 0, number, number)
    writer.complete(handle, 2, number + 1, 200, None, b"12345678")
    if number % 10_000 == 0:
        seen.append(rss())
half = len(seen) // 2
print(max(seen[20:half]), max(seen[half:]), writer.segments_mapped)
writer.close()
"""


@pytest.mark.real
def test_memory_is_flat_over_two_million_ops(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY, str(tmp_path)], capture_output=True, text=True, check=True)
    first_half, second_half, mapped = map(int, done.stdout.split())
    assert mapped == 2
    assert second_half < first_half + 8 * 2**20
    assert second_half < 100 * 2**20
