"""People who keep a list of pages to watch, by the API."""

import json
from pathlib import Path

from seatrial import User, Verb, task


class Watcher(User):
    """One person. The title of a watch carries the marker; the id that the server gives is kept by key."""

    async def on_start(self) -> None:
        settings = json.loads((Path(self.target.values["data"]) / "changedetection.json").read_text())
        self.http.headers["x-api-key"] = settings["settings"]["application"]["api_access_token"]
        self.ids: dict[str, str] = {}

    @task(weight=1)
    async def add_watch(self) -> None:
        key, value = self.new_key("watch"), self.unique()
        async with self.op("add watch", Verb.WRITE, key=key, value=value) as op:
            body = json.dumps({"url": f"http://127.0.0.1:9/{key}", "title": value, "paused": True})
            answer = await self.http.post("/api/v1/watch", body=body, headers={"content-type": "application/json"})
            op.expect(answer, 200, 201)
            self.ids[key] = answer.json()["uuid"]

    @task(weight=2)
    async def look(self) -> None:
        key = self.some_owned_key()
        if key is None or key not in self.ids:
            return await self.add_watch()
        await self.read(key)

    async def read(self, key: str) -> None:
        async with self.op("get watch", Verb.READ, key=key) as op:
            answer = await self.http.get(f"/api/v1/watch/{self.ids[key]}")
            op.expect(answer, 200, 404)
            op.result(None if answer.status == 404 else answer.json()["title"])

    async def readback(self) -> None:
        for key in self.owned_keys():
            if key in self.ids:
                await self.read(key)
