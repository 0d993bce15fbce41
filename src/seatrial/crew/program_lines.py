"""The lines that a crew program may print, as types. docs/crew-protocol.md says what they mean."""

from __future__ import annotations

from typing import Literal

import msgspec


class Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", forbid_unknown_fields=True):
    """Base of all lines."""


class Hello(Line, frozen=True, kw_only=True, tag="ready"):
    """The program has built its users."""


class Begin(Line, frozen=True, kw_only=True, tag="begin"):
    """An op is about to be sent. id: the program's own name for it while it is open.

    arrival: which arrival it belongs to, the id itself when it is not given. user: only in read-back.
    """

    id: int | str
    verb: Literal["other", "write", "read", "delete", "append", "list"] = "other"
    arrival: int | None = None
    user: int | None = None
    name: str = ""
    key: str | None = None
    value: str | None = None
    hot: bool = False


class End(Line, frozen=True, kw_only=True, tag="end"):
    """An op has ended."""

    id: int | str
    outcome: Literal["ok", "fail", "unknown"]
    result: str | list[str] | None = None
    error: str = ""
    status: int = 0


class Done(Line, frozen=True, kw_only=True, tag="done"):
    """An arrival is worked off; its user is free."""

    arrival: int


class Rest(Line, frozen=True, kw_only=True, tag="quiet"):
    """Read-back has ended."""


AnyLine = Hello | Begin | End | Done | Rest
decode_line = msgspec.json.Decoder(AnyLine).decode
