"""The contract of verdict.json: its bytes, and its JSON Schema (draft 2020-12) made from the types in verdict.py.

`python -m seatrial.report.schema` writes verdict.schema.json beside this file again, after verdict.py was changed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from seatrial.verdict import Verdict

SCHEMA_FILE = Path(__file__).with_name("verdict.schema.json")
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_INSTANTS = {"started", "ended", "at", "planned", "injected", "verified", "healed", "gone"}


def verdict_json(verdict: Verdict) -> bytes:
    """Return the bytes of verdict.json: indented, every field present, the same for the same verdict.

    What JSON cannot hold does not break it: a lone surrogate becomes an escape, a figure that is no number is left out.
    """
    return msgspec.json.format(msgspec.json.encode(_holdable(msgspec.to_builtins(verdict))), indent=1) + b"\n"


def read_verdict(data: bytes) -> Verdict:
    """Return the verdict of verdict.json. Raises msgspec.ValidationError or DecodeError when it is not one."""
    return msgspec.json.decode(data, type=Verdict)


def verdict_schema() -> dict[str, Any]:
    """Return the JSON Schema of verdict.json, made from the types.

    Every field is required, because a verdict is always written whole; unknown fields are allowed, because a later
    version may add some.
    """
    made = msgspec.json.schema(Verdict)
    head = {
        "$schema": _DIALECT,
        "$id": "urn:seatrial:verdict:1",
        "title": "verdict.json of seatrial, schema 1",
        "$ref": made["$ref"],
    }
    definitions = dict(sorted(made["$defs"].items()))
    for struct in _objects(definitions):
        struct["required"] = sorted(struct["properties"])
        for name in _INSTANTS & struct["properties"].keys():
            _mark_instant(struct["properties"][name])
    definitions["Verdict"]["properties"]["schema"] = {"const": 1}
    return {**head, "$defs": definitions}


def schema_text() -> str:
    """Return the schema as the text of the committed file."""
    return json.dumps(verdict_schema(), indent=1, ensure_ascii=False) + "\n"


def _holdable(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_holdable(k): _figures(v) if k == "figures" else _holdable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_holdable(v) for v in value]
    return value


def _figures(value: Any) -> Any:
    if not isinstance(value, dict):
        return _holdable(value)
    return {_holdable(k): v for k, v in value.items() if not isinstance(v, float) or math.isfinite(v)}


def _objects(definitions: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (d for d in definitions.values() if d.get("type") == "object" and "properties" in d)


def _mark_instant(field: dict[str, Any]) -> None:
    for choice in field.get("anyOf", [field]):
        if choice.get("type") == "string":
            choice["format"] = "date-time"


def main() -> None:
    """Write the schema file again."""
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
