"""The lists: faults, checks, and what this machine can do; for a person and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from seatrial import kinds
from seatrial.cli.trial import as_json
from seatrial.config.own import default_of
from seatrial.host import capabilities
from seatrial.params import Param, show


def faults_json() -> str:
    """Return every fault as JSON."""
    there = _present()
    return as_json({"faults": [_fault(kind, there) for kind in kinds.FAULTS]})


def faults_text() -> list[str]:
    """Return every fault for a person."""
    there, found = _present(), []
    for one in (_fault(kind, there) for kind in kinds.FAULTS):
        works = "works here" if one["works_here"] else f"not here: lacks {', '.join(one['missing'])}"
        hold = "holds" if one["holds"] else "heals itself"
        found.append(f"{one['kind']}  {one['summary']}")
        found.append(f"    on {', '.join(one['targets'])}; {hold}; {works}")
        found += [f"    {line}" for line in _param_lines(one["params"])]
    return found


def checks_json() -> str:
    """Return every check as JSON."""
    return as_json({"checks": [_check(kind) for kind in kinds.checks()]})


def checks_text() -> list[str]:
    """Return every check for a person."""
    found = []
    for one in (_check(kind) for kind in kinds.checks()):
        found.append(f"{one['kind']}  {one['summary']}")
        found.append(f"    needs of the plan: {', '.join(one['needs']) or 'nothing'}")
        found += [f"    {line}" for line in _param_lines(one["params"])]
    return found


def doctor_json(out: Path) -> str:
    """Return every capability as JSON."""
    return as_json({"capabilities": [_capability(one) for one in capabilities.probe(out)]})


def doctor_text(out: Path) -> list[str]:
    """Return every capability for a person: what is there, what is not, and how to get it."""
    seen = capabilities.probe(out)
    width = max(len(one.name) for one in seen)
    found = []
    for one in seen:
        found.append(f"{'yes' if one.present else 'NO '}  {one.name:{width}}  {one.used_for}")
        if one.detail:
            found.append(f"     {'':{width}}  {one.detail}")
        if not one.present:
            found.append(f"     {'':{width}}  to get it: {one.how}")
    return found


def _fault(kind: str, there: dict[str, bool]) -> dict[str, Any]:
    fault = kinds.fault(kind)
    missing = [name for name in fault.NEEDS if not there.get(name, False)]
    return {
        "kind": kind,
        "summary": fault.SUMMARY,
        "targets": list(fault.TARGETS),
        "holds": fault.HOLDS,
        "needs": list(fault.NEEDS),
        "missing": missing,
        "works_here": not missing,
        "params": _params(fault.PARAMS),
    }


def _check(kind: str) -> dict[str, Any]:
    check = kinds.checks()[kind]
    return {"kind": kind, "summary": check.summary, "needs": sorted(check.needs), "params": _params(check.params)}


def _params(declared: Iterable[Param]) -> list[dict[str, Any]]:
    return [
        {
            "name": p.name,
            "kind": p.kind.value,
            "required": p.required,
            "default": None if p.default is None else show(p.kind, default_of(p)),
            "least": None if p.least is None else show(p.kind, p.least),
            "most": None if p.most is None else show(p.kind, p.most),
            "choices": list(p.choices),
            "help": p.help,
        }
        for p in declared
    ]


def _param_lines(params: list[dict[str, Any]]) -> list[str]:
    found = []
    for p in params:
        default = "must be given" if p["required"] else f"default {p['default'] or 'none'}"
        bounds = [f"{word} {p[key]}" for word, key in (("from", "least"), ("to", "most")) if p[key] is not None]
        choices = [f"one of {', '.join(p['choices'])}"] if p["choices"] else []
        found.append(f"{p['name']} ({', '.join([p['kind'], *bounds, *choices, default])}): {p['help']}")
    return found


def _present() -> dict[str, bool]:
    return {one.name: one.present for one in capabilities.probe()}


def _capability(one: capabilities.Capability) -> dict[str, Any]:
    return {
        "name": one.name,
        "present": one.present,
        "used_for": one.used_for,
        "how": one.how,
        "detail": one.detail,
    }
