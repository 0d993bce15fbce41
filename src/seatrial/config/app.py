"""The tables of app.toml: what an app is made of, how it is seen to be ready, and who uses it."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from seatrial.config.fields import (
    Codes,
    Command,
    Duration,
    Flag,
    Inside,
    PlainText,
    Regex,
    Several,
    Signal,
    Size,
    Span,
    Template,
    Text,
    Texts,
    Weight,
)
from seatrial.config.mistakes import Strict

SECTIONS = (
    "app",
    "artefacts",
    "processes",
    "links",
    "probes",
    "logs",
    "data",
    "users",
    "knobs",
    "scenarios",
)


class AppTable(Strict):
    """[app]: what it is called, and how soon the whole of it notices that something is gone."""

    name: Text
    summary: Text = ""


class ArtefactTable(Strict):
    """[artefacts.<name>]: version is a name of `versions` or a version itself. Other keys are the provider's own."""

    provider: Text
    package: Text
    version: PlainText | None = None
    versions: dict[str, PlainText] = Field(default_factory=dict)

    @property
    def effective(self) -> str:
        """Return the version that is meant; empty when none is said."""
        return self.versions.get(self.version or "current", self.version or "")

    @property
    def is_baseline(self) -> bool:
        """Return whether another named version than the current one is meant."""
        return self.version in self.versions and self.version != "current"


class _Kinded(Strict):
    """A table whose `kind` decides which other keys have a meaning."""

    def _only(self, kind: str, meaning: dict[str, set[str]], needs: dict[str, str]) -> None:
        special = set().union(*meaning.values())
        for key in sorted(self.model_fields_set & special - meaning[kind]):
            homes = [k for k, keys in meaning.items() if key in keys]
            raise ValueError(f"`{key}` means nothing for kind {kind!r}; it belongs to {' and '.join(homes)}")
        if (needed := needs.get(kind)) and not getattr(self, needed):
            raise ValueError(f"kind {kind!r} needs `{needed}`")


class ReadyTable(_Kinded):
    """[processes.<name>.ready]: how readiness is seen."""

    kind: Literal["http", "tcp", "exec", "log", "protocol"]
    port: Text | None = None
    path: Template = "/"
    codes: Codes = (200,)
    contains: Text = ""
    command: Command | None = None
    pattern: Regex | None = None
    function: Text | None = None
    consecutive: Several = 1
    within: Span = 60.0
    every: Span = 0.1
    timeout: Span = 5.0

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        meaning = {
            "http": {"port", "path", "codes", "contains"},
            "tcp": {"port"},
            "exec": {"port", "command"},
            "log": {"port", "pattern"},
            "protocol": {"port", "function"},
        }
        self._only(self.kind, meaning, {"exec": "command", "log": "pattern", "protocol": "function"})
        return self


class IdentityTable(_Kinded):
    """[processes.<name>.identity]: how the app says which version it is."""

    kind: Literal["http", "exec", "log", "protocol"]
    artefact: Text | None = None
    port: Text | None = None
    path: Template = "/"
    pattern: Regex = "(.+)"
    command: Command | None = None
    function: Text | None = None
    expect: Template = "{{ version }}"

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        meaning = {
            "http": {"port", "path"},
            "exec": {"command"},
            "log": set[str](),
            "protocol": {"port", "function"},
        }
        self._only(self.kind, meaning, {"exec": "command", "protocol": "function"})
        if self.kind == "log" and "pattern" not in self.model_fields_set:
            raise ValueError("kind 'log' needs `pattern`")
        import re

        if re.compile(self.pattern).groups < 1:
            raise ValueError("`pattern` needs a group around the version, such as 'version (\\S+)'")
        return self


class LimitsTable(Strict):
    """[processes.<name>.limits]: bounds on the whole process tree; no key is no bound."""

    memory: Size | None = None
    files: Several | None = None
    pids: Several | None = None
    disk: Size | None = None
    log: Size = 64 * 1024 * 1024


class ConfigTable(Strict):
    """[processes.<name>.configs.<file>]: a file that is rendered before the first start."""

    template: Inside | None = None
    text: Template | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.template is None) == (self.text is None):
            raise ValueError("exactly one of `template` (a file of the app folder) and `text` is wanted")
        return self


class ProcessTable(Strict):
    """[processes.<name>]: one process of the app. detects: how long the rest takes to notice that it is gone."""

    command: Command
    artefact: Text | None = None
    env: dict[str, Template] = Field(default_factory=dict)
    workdir: Template = ""
    setup: tuple[Command, ...] = ()
    configs: dict[str, ConfigTable] = Field(default_factory=dict)
    ports: Texts | None = None
    stop_signal: Signal = "TERM"
    stop_grace: Span = 10.0
    restart: Literal["never", "on-failure", "always"] = "never"
    restart_delay: Duration = 0.5
    unprivileged: bool = False
    after: Texts | None = None
    ready: ReadyTable | None = None
    identity: IdentityTable | None = None
    limits: LimitsTable = LimitsTable()
    detects: Duration = 0.0


class LinkTable(Strict):
    """[links.<name>]: a TCP path through a fault proxy. detects: how long the app takes to notice that it is cut."""

    to: Text
    detects: Duration = 0.0


class ProbeTable(_Kinded):
    """[probes.<name>]: a health probe at a fixed rate, from outside."""

    to: Text
    kind: Literal["http", "tcp"] = "http"
    path: Template = "/"
    codes: Codes = (200,)
    contains: Text = ""
    every: Span = 1.0
    timeout: Span = 2.0

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        self._only(self.kind, {"http": {"path", "codes", "contains"}, "tcp": set()}, {})
        return self


class LogTable(Strict):
    """[[logs]]: a pattern to follow in the logs."""

    name: Text
    pattern: Regex
    process: Text | None = None
    forbidden: Flag = False
    required: Flag = False

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if self.forbidden and self.required:
            raise ValueError("a pattern cannot be both `forbidden` and `required`")
        return self


class UsersTable(Strict):
    """[users]: who uses the app: a Python module of the app folder, or a program in any language."""

    module: Inside | None = None
    program: Command | None = None
    classes: dict[str, Weight] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.module is None) == (self.program is None):
            raise ValueError("exactly one of `module` and `program` is wanted")
        if self.classes and not any(self.classes.values()):
            raise ValueError("`classes`: at least one weight must be more than 0")
        return self


class AppScenarioTable(Strict):
    """[scenarios.<name>]: values that this app gives to knobs of a (shared) scenario."""

    set: dict[str, Any] = Field(default_factory=dict)


class DataTable(Strict):
    """The top-level key `data`: paths of data, relative to the deployment's data folder."""

    data: tuple[Inside, ...] = ()
