"""What templates, checks of readiness and the crew see: ports, folders, links, artefacts, rendered configs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seatrial.errors import StageFailed
from seatrial.plan import Plan, Process
from seatrial.ports import Address, Installed, Site
from seatrial.runtimes.templates import Port, friendly, render

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """The folders of one process. All but data are its own."""

    data: Path
    work: Path
    home: Path
    tmp: Path
    configs: Path
    log: Path

    def make(self) -> None:
        """Make them all. Raises OSError."""
        for path in (self.data, self.work, self.home, self.tmp, self.configs, self.log.parent):
            path.mkdir(parents=True, exist_ok=True)


def folders(site: Site, process: str) -> Folders:
    """Return where a process has its files."""
    work = site.work / process
    return Folders(
        data=site.work / "data",
        work=work,
        home=work / "home",
        tmp=work / "tmp",
        configs=work / "etc",
        log=site.logs / f"{process}.log",
    )


@dataclass(slots=True, kw_only=True)
class Values:
    """Builds the values of a deployment. ports: process to port name to number."""

    plan: Plan
    site: Site
    installed: Mapping[str, Installed]
    links: Mapping[str, Address]
    ports: Mapping[str, Mapping[str, int]]
    configs: dict[str, dict[str, str]] = field(default_factory=dict)

    def shared(self) -> dict[str, Any]:
        """Return what is the same for every process; also what the crew sees."""
        site = self.site
        return {
            "host": HOST,
            "data": str(site.work / "data"),
            "work": str(site.work),
            "logs": str(site.logs),
            "run": site.run,
            "seed": self.plan.seed,
            "app": self.plan.app,
            "app_dir": self.plan.app_dir,
            "knob": friendly({knob.name: knob.value for knob in self.plan.knobs}),
            "port": friendly({name: friendly(ports) for name, ports in self.ports.items()}),
            "link": friendly({n: {"host": a.host, "port": a.port} for n, a in self.links.items()}),
            "artefact": friendly({name: dict(one.values) for name, one in self.installed.items()}),
        }

    def of(self, process: Process) -> dict[str, Any]:
        """Return what the templates of a process see: shared values, own ports, configs and artefact's values."""
        place = folders(self.site, process.name)
        own = {"work": str(place.work), "config": self._config_names(process), "process": process.name}
        return {**self.shared(), **own, "port": self._ports_of(process), **self.artefact_values(process.artefact)}

    def artefact_values(self, artefact: str) -> dict[str, str]:
        """Return root, bin, version ... of an artefact; empty for none. Raises StageFailed when it is not installed."""
        if not artefact:
            return {}
        if artefact not in self.installed:
            raise StageFailed(f"artefact {artefact!r} is not installed", outcome="not-tested")
        one = self.installed[artefact]
        fixed = {"root": str(one.root), "version": one.version, "digest": one.digest}
        return {**fixed, "bin": str(one.root / "bin"), **one.values}

    def write_configs(self, process: Process) -> None:
        """Render the config files of a process. Their paths are known before, so they may name each other."""
        place = folders(self.site, process.name).configs
        for config in process.configs:
            path = (place / config.name).resolve()
            if not path.is_relative_to(place.resolve()) or path == place.resolve():
                reason = f"{process.name}: config {config.name!r} would lie outside of the process's own folder"
                raise StageFailed(reason, outcome="not-tested")
            self.configs.setdefault(process.name, {})[config.name] = str(path)
        values = self.of(process)
        for config in process.configs:
            path = Path(self.configs[process.name][config.name])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(render(config.text, values, process=process.name, key=f"config {config.name}"))

    def _config_names(self, process: Process) -> dict[str, str]:
        """By full name, by a spelling that can follow a dot, and by the name without its ending."""
        paths = self.configs.get(process.name, {})
        stems = {re.sub(r"\W", "_", Path(name).stem): path for name, path in reversed(paths.items())}
        return {**stems, **friendly(paths)}

    def _ports_of(self, process: Process) -> dict[str, Any]:
        everyone: dict[str, Any] = friendly({name: friendly(ports) for name, ports in self.ports.items()})
        own: dict[str, Any] = {}
        for name, number in friendly(self.ports[process.name]).items():
            own[name] = number
            if name in everyone:
                own[name] = Port(number)
                own[name].ports = everyone[name]
        return {**everyone, **own}
