"""Clients that run small transactions over shared lists: each reads and appends, so that anomalies can be seen.

A transaction is one op: its value and its result are JSON lists of ["append", key, element] and ["r", key, list].
"""

import json

import asyncpg

from seatrial import ClientError, User, task

KEYS = 12  # lists that are in use at a time
LENGTH = 40  # appends a list takes before another replaces it


class Client(User):
    """One client with one connection; it connects anew after a loss, and no transaction is run twice."""

    async def on_start(self) -> None:
        self.connection: asyncpg.Connection | None = None
        self.count = 0
        self.made: set[str] = set()
        self.isolation = self.target.values["knob"]["isolation"].replace("-", "_")
        connection = await self.connected()
        try:
            await connection.execute("create table if not exists lists (key text primary key, elements text not null)")
        except (asyncpg.UniqueViolationError, asyncpg.DuplicateObjectError, asyncpg.DuplicateTableError):
            pass  # another client was making it at the same moment; which of these is said depends on how far it was

    async def on_stop(self) -> None:
        if self.connection is not None:
            self.connection.terminate()

    async def connected(self) -> asyncpg.Connection:
        if self.connection is None or self.connection.is_closed():
            try:
                self.connection = await asyncpg.connect(
                    host=self.target.host,
                    port=self.target.port,
                    user="trial",
                    database="postgres",
                    timeout=self.timeout_s,
                    command_timeout=self.timeout_s,
                    # for the statements outside of transactions too: what is not serializable itself is not watched
                    server_settings={"default_transaction_isolation": self.isolation.replace("_", " ")},
                )
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                raise ClientError("not-connected", certain=True, detail=str(error)) from error
        return self.connection

    def next_steps(self) -> list[list[object]]:
        """Return what the next transaction does: reads and appends over a few of the lists in use."""
        steps: list[list[object]] = []
        for _ in range(self.rng.randint(2, 4)):
            self.count += 1
            generation = self.count * self.users // (KEYS * LENGTH)
            key = f"{generation}-{self.rng.randrange(KEYS)}"
            if self.rng.random() < 0.5:
                steps.append(["r", key, None])
            else:
                steps.append(["append", key, self.number * 1_000_000 + self.count])
        return steps

    @task
    async def transaction(self) -> None:
        steps = self.next_steps()
        async with self.op("txn", value=json.dumps(steps)) as op:
            connection = await self.connected()
            await self.make_lists(connection, steps)
            op.result(json.dumps(await self.run(connection, steps)))

    async def make_lists(self, connection: asyncpg.Connection, steps: list[list[object]]) -> None:
        """Make the empty lists that a transaction will append to, each in a transaction of its own."""
        for kind, key, _ in steps:
            if kind != "append" or key in self.made:
                continue
            try:
                await connection.execute("insert into lists values ($1, '') on conflict do nothing", key)
            except asyncpg.SerializationError as error:
                raise ClientError("aborted", certain=True, detail=str(error)) from error
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                connection.terminate()
                raise ClientError("not-made", certain=True, detail=str(error)) from error
            self.made.add(str(key))

    async def run(self, connection: asyncpg.Connection, steps: list[list[object]]) -> list[list[object]]:
        transaction = connection.transaction(isolation=self.isolation)
        try:
            await transaction.start()
            done = [await self.step(connection, *step) for step in steps]
        except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError, asyncpg.UniqueViolationError) as error:
            await self.roll_back(connection, transaction)
            raise ClientError("aborted", certain=True, detail=str(error)) from error
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            connection.terminate()  # nothing was committed: the server rolls back what has lost its client
            raise ClientError("lost-before-commit", certain=True, detail=str(error)) from error
        await self.commit(connection, transaction)
        return done

    async def commit(self, connection: asyncpg.Connection, transaction: asyncpg.transaction.Transaction) -> None:
        try:
            await transaction.commit()
        except asyncpg.SerializationError as error:
            raise ClientError("aborted", certain=True, detail=str(error)) from error
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            connection.terminate()
            raise ClientError("lost-at-commit", certain=False, detail=str(error)) from error

    async def roll_back(self, connection: asyncpg.Connection, transaction: asyncpg.transaction.Transaction) -> None:
        try:
            await transaction.rollback()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection.terminate()

    async def step(self, connection: asyncpg.Connection, kind: str, key: str, element: int | None) -> list[object]:
        if kind == "append":
            # A plain update: with `insert ... on conflict do update` here, PostgreSQL 15.20 was seen to let a G2-item
            # through at SERIALIZABLE once in a few runs, which is a finding, but no control to test with.
            await connection.execute(
                "update lists set elements = case elements when '' then $2 else elements || ',' || $2 end "
                "where key = $1",
                key,
                str(element),
            )
            return ["append", key, element]
        elements = await connection.fetchval("select elements from lists where key = $1", key)
        return ["r", key, [int(e) for e in elements.split(",")] if elements else []]
