"""A users module that cannot be imported."""

from seatrial import User, task

KEYS = {}["nothing"]


class Broken(User):
    """Never comes to be."""

    @task
    async def put(self) -> None:
        """Never happens."""
