"""People with calendars: each keeps one of their own, writes events, changes, reads and deletes them."""

from seatrial import User, Verb, task

EVENT = """BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//seatrial//trial//EN\r
BEGIN:VEVENT\r
UID:{uid}\r
DTSTAMP:20260101T000000Z\r
DTSTART:20260101T090000Z\r
SUMMARY:{summary}\r
END:VEVENT\r
END:VCALENDAR\r
"""
MULTISTATUS = "multistatus"


def summary_of(text: str) -> str:
    """Return the SUMMARY of an event; the marker that a user wrote."""
    for line in text.splitlines():
        if line.startswith("SUMMARY:"):
            return line.removeprefix("SUMMARY:").strip()
    return ""


class Person(User):
    """One person with one calendar."""

    async def on_start(self) -> None:
        self.home = f"/person{self.id}/calendar/"
        self.http.basic_auth(f"person{self.id}", "")
        made = await self.http.request("MKCALENDAR", self.home)
        made.expect(201, 409)  # 409: it is there already

    @task(weight=5)
    async def write_event(self) -> None:
        key, value = self.own_key("event"), self.unique()
        async with self.op("put event", Verb.WRITE, key=key, value=value) as op:
            body = EVENT.format(uid=key, summary=value)
            answer = await self.http.put(
                f"{self.home}{key}.ics", body=body, headers={"content-type": "text/calendar; charset=utf-8"}
            )
            op.expect(answer, 201, 204)

    @task(weight=4)
    async def read_event(self) -> None:
        key = self.some_owned_key()
        if key is None:
            return await self.write_event()
        await self.read(key)

    @task(weight=1)
    async def delete_event(self) -> None:
        key = self.some_owned_key()
        if key is None:
            return await self.write_event()
        async with self.op("delete event", Verb.DELETE, key=key) as op:
            answer = await self.http.delete(f"{self.home}{key}.ics")
            op.expect(answer, 200, 204, 404)  # 404: it was gone already, which is what was wanted

    async def read(self, key: str) -> None:
        async with self.op("get event", Verb.READ, key=key) as op:
            answer = await self.http.get(f"{self.home}{key}.ics")
            op.expect(answer, 200, 404)
            op.result(None if answer.status == 404 else summary_of(answer.text))

    async def readback(self) -> None:
        for key in self.owned_keys():
            await self.read(key)
