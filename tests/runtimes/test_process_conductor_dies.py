"""SIGKILL of the conductor at any moment: what it made is in the ledger, and the ledger alone is enough to undo it."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seatrial.host import marks
from seatrial.host.undoing import perform, still_there
from seatrial.store.ledger import read_ledger

CONDUCTOR = """
import asyncio, sys
from pathlib import Path
sys.path.append(sys.argv[3])
from deploykit import Rig, Ready
from test_process_runtime import DOUBLE_FORK, FOREST
async def main():
    rig = Rig(Path(sys.argv[1]), run=sys.argv[2])
    forest = rig.process("forest", FOREST, "2", ready=Ready(kind="log", pattern="tree"))
    daemon = rig.process("daemon", DOUBLE_FORK, "deaf", ready=Ready(kind="log", pattern="daemon"))
    print("begin", flush=True)
    d = await rig.prepare(rig.server(restart="always"), forest, daemon)
    if sys.argv[4] == "plain":
        for one in d._processes.values():
            one.tree.group, one.tree.groups = None, []
    await d.start()
    while True:
        await d.freeze("forest")
        await d.freeze("daemon")
        await d.thaw("daemon")
        await d.thaw("forest")
        await d.kill(["web"], by="f1")
        await d.start(["web"])
asyncio.run(main())
"""


@pytest.mark.real
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("how", ["grouped", "plain"])
def test_nothing_is_left_after_the_ledger_is_undone(tmp_path: Path, seed: int, how: str) -> None:
    run = f"dies{tmp_path.parent.name[-4:]}{how}{seed}x{random.Random().getrandbits(30)}"
    command = [sys.executable, "-c", CONDUCTOR, str(tmp_path), run, str(Path(__file__).parent), how]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as conductor:
        assert conductor.stdout
        assert conductor.stdout.readline() == b"begin\n"
        wait_s = random.Random(seed).uniform(0.0, 1.0)
        time.sleep(wait_s)
        conductor.kill()
    entries = read_ledger(tmp_path / "run" / "ledger.jsonl")
    assert entries or wait_s < 0.3
    undos = [entry.undo for entry in entries if entry.undo is not None]
    for undo in undos:
        perform(undo)
    assert [left for undo in undos for left in still_there(undo)] == []
    assert marks.of_run(run) == {}
    assert not list(Path("/sys/fs/cgroup").glob(f"*/seatrial-{run}*"))
    if entries:
        assert not (tmp_path / "run" / "work").exists()
