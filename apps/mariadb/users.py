"""Clients that read a list and write it back with one more element, in one transaction at REPEATABLE READ.

That is what most applications do, and it loses updates when the database lets two of them write over the same reading.
A transaction is one op: its value and its result are JSON lists of ["r", key, list] and ["append", key, element].
"""

import json

import aiomysql
import pymysql

from seatrial import ClientError, User, task

KEYS = 6  # lists that are in use at a time
LENGTH = 40  # appends a list takes before another replaces it
ABORTED = {1213, 1020, 1205}  # deadlock, record changed since last read, lock wait timeout: rolled back


class Client(User):
    """One client with one connection."""

    async def on_start(self) -> None:
        self.connection: aiomysql.Connection | None = None
        self.count = 0
        await self.say(
            "create table if not exists mysql.lists"
            " (name varchar(64) primary key, elements text not null) engine=innodb"
        )

    async def on_stop(self) -> None:
        if self.connection is not None:
            self.connection.close()

    async def connected(self) -> aiomysql.Connection:
        if self.connection is None or self.connection.closed:
            try:
                self.connection = await aiomysql.connect(
                    host=self.target.host,
                    port=self.target.port,
                    user="root",
                    db="mysql",
                    connect_timeout=self.timeout_s,
                )
            except (OSError, pymysql.Error) as error:
                raise ClientError("not-connected", certain=True, detail=str(error)) from error
        return self.connection

    async def say(self, statement: str, *values: object) -> tuple[tuple[object, ...], ...]:
        connection = await self.connected()
        async with connection.cursor() as cursor:
            await cursor.execute(statement, values)
            return tuple(await cursor.fetchall())

    @task
    async def append(self) -> None:
        self.count += 1
        generation = self.count * self.users // (KEYS * LENGTH)
        key, element = f"{generation}-{self.rng.randrange(KEYS)}", self.number * 1_000_000 + self.count
        steps = [["r", key, None], ["append", key, element]]
        async with self.op("txn", value=json.dumps(steps)) as op:
            elements = await self.read_and_append(key, element)
            op.result(json.dumps([["r", key, elements], ["append", key, element]]))

    async def read_and_append(self, key: str, element: int) -> list[int]:
        try:
            await self.say("insert ignore into lists values (%s, '')", key)
            await self.say("commit")
            await self.say("set transaction isolation level repeatable read")
            await self.say("start transaction")
            text = str((await self.say("select elements from lists where name = %s", key))[0][0])
            elements = [int(e) for e in text.split(",") if e]
            after = ",".join(map(str, [*elements, element]))
            await self.say("update lists set elements = %s where name = %s", after, key)
        except (OSError, pymysql.Error) as error:
            await self.give_up()
            raise ClientError("aborted-before-commit", certain=True, detail=str(error)) from error
        try:
            await self.say("commit")
        except pymysql.Error as error:
            await self.give_up()
            raise ClientError("at-commit", certain=error.args[0] in ABORTED, detail=str(error)) from error
        return elements

    async def give_up(self) -> None:
        """Close the connection: the server rolls back what it had begun."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None
