"""Users of the victim: keys of their own, and a log each."""

import json

from seatrial import User, Verb, task


class Keeper(User):
    """Puts, gets and deletes keys, and appends to a log."""

    @task(weight=5)
    async def put(self) -> None:
        key, value = self.own_key("key", new_share=0.4), self.unique()
        async with self.op("put", Verb.WRITE, key=key, value=value) as op:
            op.expect(await self.http.put(f"/k/{key}", body=value), 204)

    @task(weight=3)
    async def get(self) -> None:
        key = self.some_owned_key("key")
        await (self.put() if key is None else self.read(key))

    @task(weight=1)
    async def delete(self) -> None:
        key = self.some_owned_key("key")
        if key is None:
            await self.put()
            return
        async with self.op("delete", Verb.DELETE, key=key) as op:
            op.expect(await self.http.delete(f"/k/{key}"), 204)

    @task(weight=3)
    async def append(self) -> None:
        key, value = self.own_named_key("log"), self.unique()
        async with self.op("append", Verb.APPEND, key=key, value=value) as op:
            op.expect(await self.http.post(f"/log/{key}", body=value), 204)

    async def read(self, key: str) -> None:
        async with self.op("get", Verb.READ, key=key) as op:
            answer = await self.http.get(f"/k/{key}")
            op.expect(answer, 200, 404)
            op.result(None if answer.status == 404 else answer.text)

    async def readback(self) -> None:
        log = self.own_named_key("log")
        for key in self.owned_keys():
            if key != log:
                await self.read(key)
        async with self.op("list", Verb.LIST, key=log) as op:
            answer = await self.http.get(f"/log/{log}")
            op.expect(answer, 200)
            op.result(json.dumps(answer.json()))
