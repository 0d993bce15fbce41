"""The contract of verdict.json: its JSON Schema (draft 2020-12) made from the types in verdict.py.

`python -m seatrial.report.schema` writes verdict.schema.json beside this file again, after verdict.py was changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from seatrial.verdict import Verdict

SCHEMA_FILE = Path(__file__).with_name("verdict.schema.json")
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_INSTANTS = {"started", "ended", "at", "planned", "injected", "verified", "healed", "gone"}


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
