"""Workers that take turns with a lock of etcd. Some doze off while they hold it, for longer than their lease.

etcd gives the lock to the next one when the lease ends; the dozer wakes up and still believes that it holds it. That is
the known limit of a lock with a lease and no fencing token, and the check on overlapping holders must see it.
"""

import asyncio
import base64
import json

from seatrial import User, task

LOCK = "trial"
LEASE_S = 2  # the shortest that etcd grants


def coded(text: str) -> str:
    """Return a text as the gateway wants keys and names."""
    return base64.b64encode(text.encode()).decode()


class Worker(User):
    """One worker."""

    async def on_start(self) -> None:
        knobs = self.target.values["knob"]
        self.doze_s = float(knobs["doze"].removesuffix("s"))
        self.work_s = 0.1

    async def ask(self, path: str, body: dict[str, object]) -> dict[str, object]:
        answer = await self.http.post(path, body=json.dumps(body), headers={"content-type": "application/json"})
        return answer.expect(200).json()

    @task
    async def take_a_turn(self) -> None:
        async with self.op("acquire", value=json.dumps(LOCK)):
            lease = await self.ask("/v3/lease/grant", {"TTL": LEASE_S})
            held = await self.ask("/v3/lock/lock", {"name": coded(LOCK), "lease": lease["ID"]})
        dozes = self.number == 0 and self.doze_s > 0
        await asyncio.sleep(self.doze_s if dozes else self.work_s)
        async with self.op("release", value=json.dumps(LOCK)):
            await self.ask("/v3/lock/unlock", {"key": held["key"]})
