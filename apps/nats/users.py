"""Clients of a JetStream key-value bucket on disk. A put is acknowledged when the stream has stored it."""

import nats
from nats.aio.client import Client as Connection
from nats.js.api import StorageType
from nats.js.errors import BucketNotFoundError, KeyDeletedError, KeyNotFoundError
from nats.js.kv import KeyValue

from seatrial import User, Verb, guard, task

BUCKET = "trial"


class Client(User):
    """One client with a connection of its own; it connects anew after a loss, and nothing is re-sent."""

    async def on_start(self) -> None:
        self.connection: Connection | None = None
        js = (await self.connected()).jetstream(timeout=self.timeout_s)
        try:
            await js.key_value(BUCKET)
        except BucketNotFoundError:
            await js.create_key_value(bucket=BUCKET, storage=StorageType.FILE)

    async def on_stop(self) -> None:
        if self.connection is not None:
            await self.connection.close()

    async def connected(self) -> Connection:
        if self.connection is None or not self.connection.is_connected:
            if self.connection is not None:
                await self.connection.close()
            self.connection = await nats.connect(
                f"nats://{self.target.host}:{self.target.port}",
                allow_reconnect=False,
                connect_timeout=self.timeout_s,
                error_cb=self.ignore,
            )
        return self.connection

    async def ignore(self, error: Exception) -> None:
        """Do nothing: what went wrong reaches the op that waits for it."""

    async def bucket(self) -> KeyValue:
        js = (await self.connected()).jetstream(timeout=self.timeout_s)
        return KeyValue(name=BUCKET, stream=f"KV_{BUCKET}", pre=f"$KV.{BUCKET}.", js=js, direct=False)

    @task(weight=6)
    async def put(self) -> None:
        key, value = self.own_key("key"), self.unique()
        async with self.op("kv put", Verb.WRITE, key=key, value=value):
            with guard("nats"):
                await (await self.bucket()).put(key, value.encode())

    @task(weight=3)
    async def get(self) -> None:
        key = self.some_owned_key()
        if key is None:
            return await self.put()
        await self.read(key)

    @task(weight=1)
    async def delete(self) -> None:
        key = self.some_owned_key()
        if key is None:
            return await self.put()
        async with self.op("kv delete", Verb.DELETE, key=key):
            with guard("nats"):
                await (await self.bucket()).delete(key)

    async def read(self, key: str) -> None:
        async with self.op("kv get", Verb.READ, key=key) as op:
            with guard("nats"):
                try:
                    entry = await (await self.bucket()).get(key)
                except (KeyNotFoundError, KeyDeletedError):
                    op.result(None)
                else:
                    op.result((entry.value or b"").decode())

    async def readback(self) -> None:
        for key in self.owned_keys():
            await self.read(key)
