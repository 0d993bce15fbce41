"""Keys and values of one user: keys that nobody else writes, keys that many write on purpose, values that never repeat.

Choices come from the user's own seeded numbers and from what it named before, never from how ops ended: the same
seed gives the same keys and values whatever the app does.
"""

from __future__ import annotations

import hashlib

from seatrial.generate.mix import stream, uniform

KEPT = 100  # keys a user keeps per kind; then it only writes to those it has, so that memory stays flat


class Keys:
    """The keys of one user by kind ("event", "note"), and which of them it may have written."""

    __slots__ = (
        "_drawn",
        "_hot",
        "_hot_keys",
        "_hot_share",
        "_made",
        "_owned",
        "_state",
        "_tag",
        "_unique",
        "_user",
        "_users",
        "_written",
    )

    def __init__(self, seed: int, user: int, users: int, hot_share: float, hot_keys: int) -> None:
        self._user, self._users = user, users
        self._state, self._drawn = stream(seed, "keys", user), 0
        self._hot_share, self._hot_keys = hot_share, hot_keys
        self._tag = hashlib.blake2b(f"{seed}".encode(), digest_size=3).hexdigest()
        self._made: dict[str, list[str]] = {}
        self._owned: set[str] = set()
        self._hot: set[str] = set()
        self._written: dict[str, None] = {}
        self._unique = 0

    def _random(self) -> float:
        self._drawn += 1
        return uniform(self._state, self._drawn)

    def new(self, kind: str) -> str:
        """Return a key that was never used."""
        mine = self._made.setdefault(kind, [])
        key = f"{kind}-{self._user}-{len(mine)}"
        mine.append(key)
        self._owned.add(key)
        return key

    def own(self, kind: str, new_share: float) -> str:
        """Return one of this user's keys, or (with that share, or when there is none) a new one."""
        mine = self._made.get(kind)
        if not mine or (len(mine) < KEPT and self._random() < new_share):
            return self.new(kind)
        return mine[int(self._random() * len(mine))]

    def named(self, name: str) -> str:
        """Return the one own key of that name, e.g. this user's log or list."""
        key = f"{name}-{self._user}"
        self._owned.add(key)
        return key

    def some(self, kind: str | None) -> str | None:
        """Return one of the keys made so far (of one kind, or of all), or None when there is none."""
        made = self._made.get(kind, []) if kind else [key for keys in self._made.values() for key in keys]
        return made[int(self._random() * len(made))] if made else None

    def hot(self, kind: str) -> str:
        """Return one of the keys that all users share."""
        key = f"{kind}-hot-{int(self._random() * max(self._hot_keys, 1))}"
        self._hot.add(key)
        return key

    def any(self, kind: str, new_share: float) -> str:
        """Return a hot key with the load's hot_share, else one of this user's own."""
        if self._hot_share > 0 and self._random() < self._hot_share:
            return self.hot(kind)
        return self.own(kind, new_share)

    def value(self) -> str:
        """Return a text that occurs once in all of the run and says who made it: user-count-seed."""
        self._unique += 1
        return f"{self._user}-{self._unique}-{self._tag}"

    def owns(self, key: str) -> bool:
        """Whether this user alone writes the key."""
        return key in self._owned

    def is_hot(self, key: str) -> bool:
        """Whether many users write the key."""
        return key in self._hot

    def note_written(self, key: str) -> None:
        """Remember that a write to the key may have had an effect."""
        if key not in self._written:
            self._written[key] = None

    def written(self) -> list[str]:
        """Return this user's own keys that may hold something it wrote, oldest first."""
        return [key for key in self._written if key in self._owned]

    def shared(self, kind: str) -> list[str]:
        """Return the hot keys that this user reads back, so that each is read once by somebody."""
        if self._hot_share <= 0:
            return []
        keys = [f"{kind}-hot-{n}" for n in range(max(self._hot_keys, 1)) if n % self._users == self._user]
        self._hot.update(keys)
        return keys
