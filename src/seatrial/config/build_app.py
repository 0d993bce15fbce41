"""Turns app.toml into plan values, and checks that everything it refers to is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from seatrial import kinds, plan
from seatrial.config import app as tables
from seatrial.config.files import Source, module_names, read_text
from seatrial.config.mistakes import Book, Reader, Strict
from seatrial.config.own import listed, read_own, split
from seatrial.params import nearest

T = TypeVar("T", bound=Strict)
Embed = Callable[[str, str, str], str]  # text, file, key path -> text


@dataclass(slots=True)
class AppParts:
    """The plan values of an app, and the names in it (also of tables that are wrong, so that one mistake is one)."""

    file: str
    name: str = ""
    artefacts: tuple[plan.Artefact, ...] = ()
    processes: tuple[plan.Process, ...] = ()
    links: tuple[plan.Link, ...] = ()
    probes: tuple[plan.Probe, ...] = ()
    logs: tuple[plan.LogPattern, ...] = ()
    data: tuple[str, ...] = ()
    crew: plan.Crew | None = None
    process_names: tuple[str, ...] = ()
    link_names: tuple[str, ...] = ()
    probe_names: tuple[str, ...] = ()
    log_names: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()  # every "process.port"
    detects: dict[str, float] = field(default_factory=dict)  # by target: "web", "link:db"
    users_text: str = ""
    has_users: bool = False


def check_sections(source: Source, known: tuple[str, ...], book: Book) -> None:
    """Write down top-level keys that mean nothing."""
    for key in source.raw:
        if key not in known:
            book.add(source.file, key, f"unknown key{nearest(key, known)}", hint=f"known keys: {', '.join(known)}")


def build_app(source: Source, app_dir: Path, book: Book, embed: Embed) -> AppParts:
    """Return the parts of an app; every mistake goes into the book. embed fills knobs into the text of a file."""
    return _Builder(source, app_dir, book, embed).build()


@dataclass(slots=True)
class _Builder:
    source: Source
    app_dir: Path
    book: Book
    embed: Embed
    parts: AppParts = field(init=False)
    reader: Reader = field(init=False)

    def build(self) -> AppParts:
        raw, file = self.source.raw, self.source.file
        self.parts, self.reader = AppParts(file=file), Reader(file, self.book)
        check_sections(self.source, tables.SECTIONS, self.book)
        head = self.reader.model(tables.AppTable, raw.get("app", {}), "app")
        self.parts.name = head.name if head else ""
        self._names(raw)
        self._artefacts(raw.get("artefacts", {}))
        self._processes(raw.get("processes", {}))
        self._links(raw.get("links", {}))
        self._probes(raw.get("probes", {}))
        self._logs(raw.get("logs", []))
        data = self.reader.model(tables.DataTable, {"data": raw["data"]}, "") if "data" in raw else None
        self.parts.data = data.data if data else ()
        if "users" in raw:
            self.parts.has_users = True
            self._users(raw["users"])
        return self.parts

    def _names(self, raw: Mapping[str, Any]) -> None:
        processes = _mapping(raw.get("processes"))
        self.parts.process_names = tuple(processes)
        self.parts.link_names = tuple(_mapping(raw.get("links")))
        self.parts.probe_names = tuple(_mapping(raw.get("probes")))
        self.parts.log_names = tuple(str(t.get("name")) for t in _list(raw.get("logs")) if isinstance(t, dict))
        self.parts.endpoints = tuple(
            f"{name}.{port}" for name, table in processes.items() for port in _ports(_mapping(table))
        )

    def _artefacts(self, raw: Any) -> None:
        shared = set(tables.ArtefactTable.model_fields)
        split_up = {n: split(t, shared) for n, t in _mapping(raw).items() if isinstance(t, Mapping)}
        commons = {n: split_up[n][0] if n in split_up else t for n, t in _mapping(raw).items()}
        made = self.reader.tables(tables.ArtefactTable, commons if isinstance(raw, Mapping) else raw, "artefacts")
        for name, table in made.items():
            options = self._options(name, table, split_up[name][1], shared)
            one = plan.Artefact(
                name=name,
                provider=table.provider,
                package=table.package,
                version=table.effective,
                baseline=table.is_baseline,
                options=options,
            )
            self.parts.artefacts += (one,)

    def _options(self, name: str, table: tables.ArtefactTable, own: dict[str, Any], shared: set[str]) -> dict[str, Any]:
        path, file = f"artefacts.{name}", self.source.file
        if table.provider not in kinds.PROVIDERS:
            self._unknown(f"{path}.provider", table.provider, kinds.PROVIDERS, "provider")
            return {}
        if not table.effective and table.provider != "path":
            self.book.add(file, f"{path}.version", "must be given, or `versions.current`")
        declared = [p for p in kinds.provider_params(table.provider) if p.name not in shared]
        return listed(read_own(self.book, file, path, own, declared, shared, f"provider {table.provider!r}"))

    def _processes(self, raw: Any) -> None:
        made = self.reader.tables(tables.ProcessTable, raw, "processes")
        if not _mapping(raw) and isinstance(raw, Mapping):
            self.book.add(self.source.file, "processes", "at least one process is wanted, such as [processes.web]")
        self._check_order({n: t.after or () for n, t in made.items()})
        self.parts.processes = tuple(self._process(n, t) for n, t in made.items())
        self.parts.detects |= {n: t.detects for n, t in made.items() if t.detects}

    def _process(self, name: str, table: tables.ProcessTable) -> plan.Process:
        path, ports = f"processes.{name}", table.ports or ()
        artefacts = tuple(_mapping(self.source.raw.get("artefacts")))
        if table.artefact is not None and table.artefact not in artefacts:
            self._unknown(f"{path}.artefact", table.artefact, artefacts, "artefact")
        if len(set(ports)) < len(ports):
            self.book.add(self.source.file, f"{path}.ports", "a port is named twice", value=", ".join(ports))
        for port in ports:
            self.reader.check_name(port, f"{path}.ports")
        return plan.Process(
            name=name,
            command=table.command,
            artefact=table.artefact or (artefacts[0] if len(artefacts) == 1 else ""),
            env=table.env,
            workdir=table.workdir,
            setup=table.setup,
            configs=tuple(self._config(path, n, c) for n, c in table.configs.items()),
            ports=ports,
            stop_signal=table.stop_signal,
            stop_grace_s=table.stop_grace,
            restart=table.restart,
            restart_delay_s=table.restart_delay,
            unprivileged=table.unprivileged,
            after=table.after or (),
            ready=self._ready(path, ports, table.ready) if table.ready else None,
            identity=self._identity(path, ports, table) if table.identity else None,
            limits=plan.Limits(**table.limits.model_dump()),
        )

    def _config(self, path: str, name: str, table: tables.ConfigTable) -> plan.ConfigFile:
        text = table.text
        if table.template is not None:
            key = f"{path}.configs.{name}.template"
            text = read_text(self.app_dir, table.template, self.source.file, key, self.book)
            if text is not None:
                text = self.embed(text, self.source.file, key)
                self._check_template(text, table.template, key)
        return plan.ConfigFile(name=name, text=text or "")

    def _check_template(self, text: str, name: str, key: str) -> None:
        from jinja2 import Environment, TemplateSyntaxError

        try:
            Environment().parse(text)
        except TemplateSyntaxError as error:
            where = f"{name}:{error.lineno}"
            self.book.add(self.source.file, key, f"template does not parse: {where}: {error.message}", value=name)

    def _ready(self, path: str, ports: tuple[str, ...], table: tables.ReadyTable) -> plan.Ready:
        if table.kind in ("http", "tcp") or table.port is not None:
            self._check_port(f"{path}.ready", ports, table.port)
        if table.function is not None:
            self._check_function(f"{path}.ready.function", table.function)
        return plan.Ready(
            kind=table.kind,
            port=table.port or (ports[0] if ports else ""),
            path=table.path,
            codes=table.codes,
            contains=table.contains,
            command=table.command or (),
            pattern=table.pattern or "",
            function=table.function or "",
            consecutive=table.consecutive,
            within_s=table.within,
            every_s=table.every,
            timeout_s=table.timeout,
        )

    def _identity(self, path: str, ports: tuple[str, ...], process: tables.ProcessTable) -> plan.Identity:
        table = process.identity
        assert table is not None
        artefacts = tuple(_mapping(self.source.raw.get("artefacts")))
        artefact = table.artefact or process.artefact or (artefacts[0] if len(artefacts) == 1 else "")
        if not artefact:
            self.book.add(self.source.file, f"{path}.identity.artefact", "must be given: whose version is it?")
        elif table.artefact and table.artefact not in artefacts:
            self._unknown(f"{path}.identity.artefact", table.artefact, artefacts, "artefact")
        if table.kind == "http":
            self._check_port(f"{path}.identity", ports, table.port)
        if table.function is not None:
            self._check_function(f"{path}.identity.function", table.function)
        return plan.Identity(
            kind=table.kind,
            artefact=artefact,
            port=table.port or (ports[0] if ports else ""),
            path=table.path,
            pattern=table.pattern,
            command=table.command or (),
            function=table.function or "",
            expect=table.expect,
        )

    def _check_port(self, path: str, ports: tuple[str, ...], port: str | None) -> None:
        if port is None and not ports:
            self.book.add(self.source.file, f"{path}.port", "the process has no ports", hint='add ports = ["http"]')
        if port is not None and port not in ports:
            self._unknown(f"{path}.port", port, ports, "port of this process")

    def _check_function(self, key: str, function: str) -> None:
        module, _, name = function.partition(":")
        if not module.endswith(".py") or not name:
            self.book.add(self.source.file, key, '"module.py:name" is wanted', value=function)
            return
        text = read_text(self.app_dir, module, self.source.file, key, self.book)
        names = module_names(text, module, key, self.source.file, self.book) if text is not None else None
        if names is not None and name not in names:
            self._unknown(key, name, names, f"function in {module}")

    def _check_order(self, after: Mapping[str, tuple[str, ...]]) -> None:
        for name, earlier in after.items():
            for other in earlier:
                if other not in self.parts.process_names:
                    self._unknown(f"processes.{name}.after", other, self.parts.process_names, "process")
        for name in after:
            if name in _reachable(name, after):
                self.book.add(self.source.file, f"processes.{name}.after", "the process waits for itself, by a circle")

    def _links(self, raw: Any) -> None:
        made = self.reader.tables(tables.LinkTable, raw, "links")
        for name, table in made.items():
            if table.to not in self.parts.endpoints and not _outside(table.to, self.parts.process_names):
                self._unknown(f"links.{name}.to", table.to, self.parts.endpoints, '"process.port" (or "host:port")')
        self.parts.links = tuple(plan.Link(name=n, to=t.to) for n, t in made.items())
        self.parts.detects |= {f"link:{n}": t.detects for n, t in made.items() if t.detects}

    def _probes(self, raw: Any) -> None:
        made = self.reader.tables(tables.ProbeTable, raw, "probes")
        there = (*self.parts.endpoints, *self.parts.link_names)
        for name, table in made.items():
            if table.to not in there:
                self._unknown(f"probes.{name}.to", table.to, there, '"process.port" or link')
        self.parts.probes = tuple(
            plan.Probe(
                name=n,
                to=t.to,
                kind=t.kind,
                path=t.path,
                codes=t.codes,
                contains=t.contains,
                every_s=t.every,
                timeout_s=t.timeout,
            )
            for n, t in made.items()
        )

    def _logs(self, raw: Any) -> None:
        made = read_array(self.reader, tables.LogTable, raw, "logs")
        for index, table in made.items():
            if table.process is not None and table.process not in self.parts.process_names:
                self._unknown(f"logs[{index}].process", table.process, self.parts.process_names, "process")
        names = [t.name for t in made.values()]
        for name in sorted({n for n in names if names.count(n) > 1}):
            self.book.add(self.source.file, "logs", "two patterns have this name", value=name)
        self.parts.logs = tuple(
            plan.LogPattern(
                name=t.name, pattern=t.pattern, process=t.process or "", forbidden=t.forbidden, required=t.required
            )
            for t in made.values()
        )

    def _users(self, raw: Any) -> None:
        table = self.reader.model(tables.UsersTable, raw, "users")
        if table is None:
            return
        if table.module is not None:
            self._check_module(table.module, table.classes)
        classes = tuple(plan.UserClass(name=n, weight=w) for n, w in table.classes.items())
        self.parts.crew = plan.Crew(module=table.module or "", program=table.program or (), classes=classes)

    def _check_module(self, module: str, classes: Mapping[str, float]) -> None:
        text = read_text(self.app_dir, module, self.source.file, "users.module", self.book)
        if text is None:
            return
        self.parts.users_text = text
        names = module_names(text, module, "users.module", self.source.file, self.book)
        for name in classes:
            if names is not None and name not in names:
                self._unknown(f"users.classes.{name}", name, names, f"class in {module}")

    def _unknown(self, key: str, word: str, known: Any, what: str) -> None:
        self.book.unknown(self.source.file, key, word, known, what)


def read_array(reader: Reader, kind: type[T], raw: Any, path: str) -> dict[int, T]:
    """Return the tables of an array of tables that are right, by index."""
    if not isinstance(raw, list):
        reader.book.add(reader.file, path, f"[[{path}]] tables are wanted", value=raw)
        return {}
    read = {n: reader.model(kind, table, f"{path}[{n}]") for n, table in enumerate(raw)}
    return {n: table for n, table in read.items() if table is not None}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _ports(table: Mapping[str, Any]) -> list[str]:
    ports = table.get("ports", [])
    return [ports] if isinstance(ports, str) else [p for p in _list(ports) if isinstance(p, str)]


def _outside(to: str, processes: tuple[str, ...]) -> bool:
    host, _, port = to.rpartition(":")
    return bool(host) and host not in processes and port.isdigit() and 0 < int(port) < 65536


def _reachable(name: str, after: Mapping[str, tuple[str, ...]]) -> set[str]:
    seen: set[str] = set()
    front = list(after.get(name, ()))
    while front:
        other = front.pop()
        if other not in seen:
            seen.add(other)
            front += after.get(other, ())
    return seen
