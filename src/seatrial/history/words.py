"""The words of an op: what it means, how it ended, what it is marked with. Free of numpy, for what must start fast."""

from __future__ import annotations

import enum


class Verb(enum.IntEnum):
    """What an op means to the judges, whatever the app calls it."""

    OTHER = 0  # counts for availability, latency and accounting only
    WRITE = 1  # sets `key` to `value`
    READ = 2  # returns what `key` holds in `result`; ok with no result means "absent"
    DELETE = 3  # removes `key`
    APPEND = 4  # adds `value` to the collection or log `key`
    LIST = 5  # returns all items of the collection or log `key` in `result`, a JSON array of strings


class OpOutcome(enum.IntEnum):
    """How an op ended. 0 is an empty slot of a journal and never appears in a history."""

    IN_FLIGHT = 1  # no completion was ever seen: the op may have had an effect
    OK = 2
    FAIL = 3  # surely had no effect
    UNKNOWN = 4  # may have had an effect


class Flag(enum.IntFlag):
    """Properties of an op that the judges need. Bits of one byte."""

    OWNED = 1  # the key has one writer, this user
    HOT = 2  # the key is shared on purpose by many writers
    READBACK = 4  # one of the last, read-only ops after quiescence
    WARMUP = 8  # left out of SLOs


NONE = -1  # code of "no string" in key, value and result
