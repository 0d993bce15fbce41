"""Clients of a Redis: each sets, gets and deletes keys of its own over one connection, which never re-sends."""

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from seatrial import User, Verb, guard, task


class Client(User):
    """One client."""

    async def on_start(self) -> None:
        self.redis = redis.Redis(
            host=self.target.host,
            port=self.target.port,
            decode_responses=True,
            socket_timeout=self.timeout_s,
            socket_connect_timeout=self.timeout_s,
            retry=Retry(NoBackoff(), 0),
            single_connection_client=False,
            max_connections=1,
        )

    async def on_stop(self) -> None:
        await self.redis.aclose()

    @task(weight=6)
    async def set(self) -> None:
        key, value = self.own_key("key"), self.unique()
        async with self.op("SET", Verb.WRITE, key=key, value=value):
            with guard("redis"):
                await self.redis.set(key, value)

    @task(weight=3)
    async def get(self) -> None:
        key = self.some_owned_key()
        if key is None:
            return await self.set()
        await self.read(key)

    @task(weight=1)
    async def delete(self) -> None:
        key = self.some_owned_key()
        if key is None:
            return await self.set()
        async with self.op("DEL", Verb.DELETE, key=key):
            with guard("redis"):
                await self.redis.delete(key)

    async def read(self, key: str) -> None:
        async with self.op("GET", Verb.READ, key=key) as op:
            with guard("redis"):
                op.result(await self.redis.get(key))

    async def readback(self) -> None:
        for key in self.owned_keys():
            await self.read(key)
