"""One process as checks see it: where it listens, what its templates know, how a command is run on its behalf."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial.clock import Clock
from seatrial.errors import StageFailed
from seatrial.host import marks
from seatrial.plan import Process
from seatrial.ports import Address
from seatrial.runtimes.spawn import Order
from seatrial.runtimes.templates import render
from seatrial.runtimes.values import HOST, Folders

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A process, its folders and values. run: the run's tag."""

    spec: Process
    run: str
    place: Folders
    values: Mapping[str, Any]
    ports: Mapping[str, int]
    app_dir: str
    clock: Clock

    @property
    def name(self) -> str:
        """Return the name of the process."""
        return self.spec.name

    def address(self, port: str) -> Address:
        """Return where a port listens; "" is the first one. Raises StageFailed naming those there are."""
        wanted = port or next(iter(self.ports), "")
        if wanted not in self.ports:
            known = ", ".join(self.ports) or "none"
            raise StageFailed(f"{self.name}: there is no port {wanted!r}; its ports: {known}", outcome="not-tested")
        return Address(host=HOST, port=self.ports[wanted])

    def fill(self, text: str, key: str) -> str:
        """Return a text with its templates filled."""
        return render(text, self.values, process=self.name, key=key)

    def fill_all(self, texts: Sequence[str], key: str) -> list[str]:
        """Return texts with their templates filled."""
        return [self.fill(text, f"{key}[{n}]") for n, text in enumerate(texts)]

    def order(self, command: Sequence[str], *, role: str = "", log: Path | None = None, **more: Any) -> Order:
        """Return what starts a command for this process. role: "" for the process itself, else setup or exec."""
        name = f"{self.name}:{role}" if role else self.name
        return Order(
            process=name,
            run=self.run,
            command=command,
            environment={**self.environment(), **marks.environment(self.run, name)},
            workdir=self.workdir(),
            log=log or self.place.log,
            unprivileged=self.spec.unprivileged and os.geteuid() == 0,
            **more,
        )

    def workdir(self) -> Path:
        """Return the working directory; one that was declared must exist, or lie in the run's own folders."""
        if not self.spec.workdir:
            return self.place.work
        path = self.place.work / self.fill(self.spec.workdir, "workdir")
        if path.is_relative_to(self.place.work.parent):
            path.mkdir(parents=True, exist_ok=True)
        if not path.is_dir():
            raise StageFailed(f"{self.name}: workdir {path} is not a folder", outcome="not-tested")
        return path

    def environment(self) -> dict[str, str]:
        """Return the clean environment that the process gets: nothing of ours but PATH."""
        path = os.environ.get("PATH") or SYSTEM_PATH
        own_bin = self.values.get("bin", "")
        fixed = {
            "PATH": f"{own_bin}:{path}" if own_bin else path,
            "HOME": str(self.place.home),
            "TMPDIR": str(self.place.tmp),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
        }
        return {**fixed, **{name: self.fill(text, f"env.{name}") for name, text in self.spec.env.items()}}
