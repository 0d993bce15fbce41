"""A small app that is right, which tests bend until it is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from seatrial.config.build import Request, make_plan
from seatrial.errors import Mistake, UsageError
from seatrial.plan import Plan

APP = """
[app]
name = "shop"
[artefacts.shop]
provider = "pypi"
package = "shop"
[artefacts.shop.versions]
current = "2.0"
previous = "1.9"
[processes.web]
command = ["{{ bin }}/shop", "--port", "{{ port.http }}"]
ports = ["http"]
detects = "2s"
[processes.web.ready]
kind = "http"
[processes.web.identity]
kind = "http"
pattern = 'v(\\S+)'
[processes.db]
command = ["{{ bin }}/db"]
ports = ["sql"]
[links.front]
to = "web.http"
[probes.health]
to = "web.http"
[[logs]]
name = "oops"
pattern = "Traceback"
forbidden = true
[users]
module = "users.py"
"""
SCENARIO = """
[scenario]
name = "default"
[knobs.users]
kind = "count"
default = 20
least = 1
most = 100
help = "how many"
[knobs.rate]
kind = "rate"
default = "50/s"
[load]
users = "$users"
rate = "$rate"
length = "60s"
[[faults]]
kind = "kill"
target = "web"
at = "10s"
hold = "3s"
[[checks]]
kind = "durability"
[[checks]]
kind = "recovery"
"""


class Files:
    """An app folder whose files tests write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "scenarios").mkdir(parents=True)
        (folder / "users.py").write_text("class Buyer:\n    pass\n")
        self.app(APP)
        self.scenario(SCENARIO)

    def app(self, text: str) -> None:
        (self.folder / "app.toml").write_text(text)

    def scenario(self, text: str, name: str = "default") -> None:
        (self.folder / "scenarios" / f"{name}.toml").write_text(text)

    def plan(self, *, seed: int = 1, sets: Mapping[str, Any] | None = None, **request: Any) -> Plan:
        return make_plan(Request(app=self.folder, seed=seed, sets=sets or {}, **request))

    def mistakes(self, **request: Any) -> tuple[Mistake, ...]:
        with pytest.raises(UsageError) as caught:
            self.plan(**request)
        return caught.value.mistakes

    def lines(self, **request: Any) -> list[str]:
        """The mistakes as a person sees them, with the folder left out."""
        return [m.line().replace(f"{self.folder}/", "") for m in self.mistakes(**request)]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    monkeypatch.chdir(tmp_path)
    return Files(tmp_path / "shop")


@pytest.fixture
def bend(files: Files) -> Callable[[str, str, str], Files]:
    """Replace a text of a file of the right app, and insist that it was there."""

    def do(which: str, old: str, new: str) -> Files:
        path = files.folder / ("app.toml" if which == "app" else "scenarios/default.toml")
        text = path.read_text()
        if old:
            assert old in text
        path.write_text(text.replace(old, new, 1) if old else text + new)
        return files

    return do
