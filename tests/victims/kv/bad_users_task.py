"""A users module with a mistake in a task: it breaks inside an op that was already sent."""

from seatrial import User, Verb, task


class Broken(User):
    """Trips over its own feet at its third task."""

    done = 0

    @task
    async def put(self) -> None:
        """Put a key; the third time with a mistake."""
        self.done += 1
        key, value = self.own_key("key"), self.unique()
        async with self.op("put", Verb.WRITE, key=key, value=value) as op:
            op.expect(await self.http.put(f"/k/{key}", body=value), 204)
            if self.done == 3:
                self.nonsense += 1
