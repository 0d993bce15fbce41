"""The process runtime: an app as plain processes with a tree, folders and ports of their own. No root needed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seatrial.errors import StageFailed
from seatrial.host import cgroups, marks, proc, sockets, undoing
from seatrial.plan import Plan
from seatrial.ports import Address, Claim, Installed, Site, Stopped, Watched
from seatrial.runtimes import identity, spawn
from seatrial.runtimes.bounds import Bounds
from seatrial.runtimes.subject import Subject
from seatrial.runtimes.supervise import Supervised
from seatrial.runtimes.tree import Tree
from seatrial.runtimes.values import HOST, Values, folders
from seatrial.undo import KillTagged, RemoveTree


class ProcessRuntime:
    """Deploys an app as plain processes. Linux; what root or delegated cgroups add is used when it is there."""

    async def prepare(
        self, plan: Plan, installed: Mapping[str, Installed], links: Mapping[str, Address], site: Site
    ) -> ProcessDeployment:
        """Allocate ports, make folders and groups, render configs. Starts nothing of the app.

        Raises StageFailed for a template that cannot be filled, and for folders that cannot be made.
        """
        spawn.become_subreaper()
        ports = {p.name: {name: sockets.free_port(HOST) for name in p.ports} for p in plan.processes}
        values = Values(plan=plan, site=site, installed=installed, links=links, ports=ports)
        deployment = ProcessDeployment(plan=plan, site=site, values=values)
        try:
            deployment.make()
        except OSError as error:
            await deployment.teardown()
            raise StageFailed(f"{error.filename}: {error.strerror}", outcome="environment") from None
        except StageFailed:
            await deployment.teardown()
            raise
        return deployment


@dataclass(slots=True, kw_only=True)
class ProcessDeployment:
    """One live instance of an app as plain processes. unenforced: declared limits that this machine cannot hold."""

    plan: Plan
    site: Site
    values: Values
    unenforced: list[str] = field(default_factory=list)
    _processes: dict[str, Supervised] = field(default_factory=dict)
    _entries: list[tuple[int, Callable[[], list[str]]]] = field(default_factory=list)
    _bounds: Bounds | None = None
    _before: Mapping[int, int] = field(default_factory=dict)  # who ran before this deployment: pid to start ticks

    def make(self) -> None:
        """Make folders, groups and configs; everything is in the ledger before it is made."""
        site = self.site
        self._before = {pid: one.start_ticks for pid, one in proc.all_stats().items()}
        tagged = KillTagged(tag=site.run)
        entry = site.ledger.open("process", f"processes of {self.plan.app}", tagged)
        self._entries.append((entry, self._living))
        if not site.keep:
            tree = RemoveTree(path=str(site.work), inside=str(site.folder))
            entry = site.ledger.open("folder", f"data and configs of {self.plan.app}", tree)
            self._entries.append((entry, lambda: undoing.still_there(tree)))
        places = cgroups.parents()
        for process in self.plan.processes:
            folders(site, process.name).make()
            self.values.write_configs(process)
            self._processes[process.name] = self._supervised(process.name, places)
        self._bounds = Bounds(clock=site.clock, emit=site.emit, processes=tuple(self._processes.values()))

    async def start(self, names: Sequence[str] = (), *, by: str = "engine") -> None:
        """Start these processes (all when empty), in order of `after`, and wait for each to be ready."""
        if self._bounds is not None:
            self._bounds.begin()
        for name in self._ordered(names):
            await self._processes[name].start(by)

    async def stop(self, names: Sequence[str] = (), *, by: str = "engine") -> list[Stopped]:
        """Stop these processes (all when empty) with signal, grace, SIGKILL; in reverse order."""
        return [await self._processes[name].stop(by) for name in reversed(self._ordered(names))]

    async def kill(self, names: Sequence[str], *, by: str) -> None:
        """SIGKILL the whole trees of these processes at once; return when none of them lives."""
        chosen = [self._one(name) for name in names]
        for one in chosen:
            one.blame(by)
        for one in chosen:
            one.tree.strike()
        await asyncio.gather(*(one.killed() for one in chosen))

    async def freeze(self, name: str) -> None:
        """Stop all execution of the process tree; returns when the system says that it is so."""
        await self._one(name).tree.freeze()

    async def thaw(self, name: str) -> None:
        """Let a frozen process tree go on."""
        await self._one(name).tree.thaw()

    def expect_down(self, names: Sequence[str], by: str) -> None:
        """Say that exits of these processes are ours until they are started again: no restart policy."""
        for name in names:
            self._one(name).expect_down(by)

    def pids(self, name: str) -> list[int]:
        """Return the live pids of the process's tree, freshly read from the system."""
        return sorted(self._one(name).tree.pids())

    def names(self) -> Sequence[str]:
        """Return the names of the processes, in order of start."""
        return self._ordered(())

    def address(self, process: str, port: str) -> Address:
        """Return where a port of a process listens; "" is its first port."""
        return self._one(process).subject.address(port)

    async def claims(self) -> list[Claim]:
        """Ask who runs here: program files, holders of listening sockets, and the app's own words."""
        found: list[Claim] = []
        for one in self._processes.values():
            subject, pids = one.subject, one.tree.pids()
            artefact = subject.spec.artefact
            if artefact and artefact in self.values.installed:
                found.append(identity.executes(subject, self.values.installed[artefact].root, pids))
            found += [c for port in subject.ports if (c := identity.listens(subject, port, pids)) is not None]
            if subject.spec.identity is not None:
                asked = subject.spec.identity
                found.append(await identity.says(subject, asked, self.values.artefact_values(asked.artefact)))
        return found

    async def teardown(self) -> None:
        """End everything that deploying made, and close the ledger entries of what is verified gone. Safe twice."""
        if self._bounds is not None:
            await self._bounds.close()
        for one in self._processes.values():
            one.expect_down("engine")
            one.tree.strike()
        ends = (one.end() for one in self._processes.values())
        results = await asyncio.gather(*ends, return_exceptions=True)
        for pid, ticks in self._members().items():  # what setup commands or checks left
            proc.send(pid, ticks, signal.SIGKILL)
        proc.wait_gone(self._members(), 2.0)
        spawn.reap(marks.orphans(self.site.run, self._marked_names()))
        if not self.site.keep:
            await asyncio.to_thread(undoing.perform, RemoveTree(path=str(self.site.work), inside=str(self.site.folder)))
        self._entries = [(entry, left) for entry, left in self._entries if not self._closed(entry, left)]
        if not self._entries:
            sockets.give_back(n for ports in self.values.ports.values() for n in ports.values())
        for result in results:  # a bug of ours is told, but only after everything was torn down
            if isinstance(result, BaseException):
                raise result

    def watched(self) -> list[Watched]:
        """Return log, data folders and cgroup of each process."""
        found = []
        for name, one in self._processes.items():
            place = one.subject.place
            data = tuple(place.data / path for path in self.plan.data) or (place.data,)
            found.append(Watched(process=name, log=place.log, data=data, cgroup=one.tree.group))
        return found

    def template_values(self) -> Mapping[str, Any]:
        """Return what the crew sees: ports, links, folders, artefacts, and log and workdir of each process."""
        each = {
            name: {"work": str(one.subject.place.work), "log": str(one.subject.place.log)}
            for name, one in self._processes.items()
        }
        return {**self.values.shared(), "process": each}

    async def residue(self) -> list[str]:
        """List what is left, from the system and not from what teardown believes."""
        found = self._living()
        for one in self._processes.values():
            places = cgroups.parents()
            for parent in (places.v2, *places.v1.values()):
                if parent is not None and cgroups.folder(parent, self.site.run, one.name).exists():
                    found.append(f"cgroup {cgroups.folder(parent, self.site.run, one.name)}")
            for port, number in self.values.ports[one.name].items():
                held = [who for who in sockets.listeners(number, HOST) if not self._was_there(who.pids)]
                found += [f"port {HOST}:{number} ({one.name}.{port}) is held by {who.owner()}" for who in held]
        if not self.site.keep and self.site.work.exists():
            found.append(f"files in {self.site.work}")
        return found

    def _was_there(self, pids: Sequence[int]) -> bool:
        """Whether all of these ran before the deployment, so that it cannot have left them."""
        return bool(pids) and all(proc.start_ticks(pid) == self._before.get(pid) for pid in pids)

    def _supervised(self, name: str, places: cgroups.Parents) -> Supervised:
        process, site = self.plan.process(name), self.site
        tree = Tree(run=site.run, process=name, clock=site.clock, ledger=site.ledger)
        tree.prepare(process, places)
        self.unenforced += tree.unenforced
        subject = Subject(
            spec=process,
            run=site.run,
            place=folders(site, name),
            values=self.values.of(process),
            ports=self.values.ports[name],
            app_dir=self.plan.app_dir,
            clock=site.clock,
        )
        return Supervised(subject=subject, tree=tree, emit=site.emit)

    def _one(self, name: str) -> Supervised:
        if name not in self._processes:
            raise StageFailed(f"there is no process {name!r}; there are: {', '.join(self._processes)}")
        return self._processes[name]

    def _ordered(self, names: Sequence[str]) -> list[str]:
        """By `after`, else as written. A circle is a mistake of the plan."""
        for name in names:
            self._one(name)
        ordered: list[str] = []
        waiting = list(self.plan.processes)
        while waiting:
            free = next((p for p in waiting if set(p.after) <= set(ordered)), None)
            if free is None:
                circle = ", ".join(p.name for p in waiting)
                raise StageFailed(f"processes wait for each other or for unknown ones: {circle}", outcome="not-tested")
            waiting.remove(free)
            ordered.append(free.name)
        return [name for name in ordered if not names or name in names]

    def _marked_names(self) -> list[str]:
        return [f"{p.name}{role}" for p in self.plan.processes for role in spawn.ROLES]

    def _members(self) -> dict[int, int]:
        return marks.of_run(self.site.run, self._marked_names())

    def _living(self) -> list[str]:
        return [f"process {proc.describe(pid)}" for pid in sorted(self._members())]

    def _closed(self, entry: int, left: Callable[[], list[str]]) -> bool:
        if left():
            return False
        self.site.ledger.close(entry, "teardown")
        return True
