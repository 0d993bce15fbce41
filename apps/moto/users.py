"""People with S3 buckets: each puts, gets and deletes objects in a bucket of their own."""

from seatrial import User, Verb, task


class Keeper(User):
    """One person with one bucket."""

    async def on_start(self) -> None:
        self.bucket = f"/keeper{self.id}"
        self.http.headers["authorization"] = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request"
        made = await self.http.put(self.bucket)
        made.expect(200, 409)

    @task(weight=5)
    async def put_object(self) -> None:
        key, value = self.own_key("object"), self.unique()
        async with self.op("put object", Verb.WRITE, key=key, value=value) as op:
            op.expect(await self.http.put(f"{self.bucket}/{key}", body=value), 200)

    @task(weight=4)
    async def get_object(self) -> None:
        key = self.some_owned_key()
        if key is None:
            return await self.put_object()
        await self.read(key)

    async def read(self, key: str) -> None:
        async with self.op("get object", Verb.READ, key=key) as op:
            answer = await self.http.get(f"{self.bucket}/{key}")
            op.expect(answer, 200, 404)
            op.result(None if answer.status == 404 else answer.text)

    async def readback(self) -> None:
        for key in self.owned_keys():
            await self.read(key)
