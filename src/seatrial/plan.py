"""The plan: app + scenario + knobs + seed as one validated, frozen, savable value. Names and numbers, no objects.

All durations are float seconds, rates per second, sizes bytes. Texts that may hold jinja templates are said to;
they are filled when the run knows its ports and folders.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Knob(msgspec.Struct, frozen=True, kw_only=True):
    """The effective value of one knob, as text with its unit, and where it came from (default, scenario, --set)."""

    name: str
    value: str
    origin: str
    kind: str = "text"
    help: str = ""


class Artefact(msgspec.Struct, frozen=True, kw_only=True):
    """A thing to install: which provider, which package, which version. options are the provider's own.

    baseline: an older version, chosen by name; that it cannot be installed says nothing of the app under trial.
    """

    name: str
    provider: str
    package: str
    version: str
    baseline: bool = False
    options: dict[str, Any] = {}


class ConfigFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is rendered for a process before its first start. text is a jinja template."""

    name: str
    text: str


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """How readiness is seen. kind: http | tcp | exec | log | protocol.

    http: path, codes, contains. exec: command (template). log: pattern. protocol: function "module.py:name" of the app.
    consecutive successes are wanted within `within_s`.
    """

    kind: str
    port: str = ""
    path: str = "/"
    codes: tuple[int, ...] = (200,)
    contains: str = ""
    command: tuple[str, ...] = ()
    pattern: str = ""
    function: str = ""
    consecutive: int = 1
    within_s: float = 60.0
    every_s: float = 0.1
    timeout_s: float = 5.0


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """How the app says who it is. kind: http (path, pattern) | exec (command, pattern) | log (pattern) | protocol.

    pattern is a regular expression whose group 1 is the version; it is compared with `expect` (a template; by
    default the artefact's version).
    """

    kind: str
    artefact: str
    port: str = ""
    path: str = "/"
    pattern: str = "(.+)"
    command: tuple[str, ...] = ()
    function: str = ""
    expect: str = "{{ version }}"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on one process tree; None is no bound. What the runtime cannot enforce is said in the verdict."""

    memory: int | None = None
    files: int | None = None
    pids: int | None = None
    disk: int | None = None
    log: int = 64 * 1024 * 1024


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the app. command, env values, workdir and config files are templates.

    setup: commands run once before the first start. after: processes that must be ready first.
    restart: never | on-failure | always; what a supervisor would do when the process exits by itself.
    unprivileged: it must not see itself as root (PostgreSQL refuses to); means something only when seatrial is root.
    """

    name: str
    command: tuple[str, ...]
    artefact: str = ""
    env: dict[str, str] = {}
    workdir: str = ""
    setup: tuple[tuple[str, ...], ...] = ()
    configs: tuple[ConfigFile, ...] = ()
    ports: tuple[str, ...] = ()
    stop_signal: str = "TERM"
    stop_grace_s: float = 10.0
    restart: str = "never"
    restart_delay_s: float = 0.5
    after: tuple[str, ...] = ()
    unprivileged: bool = False
    ready: Ready | None = None
    identity: Identity | None = None
    limits: Limits = Limits()


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A TCP path to "process.port" (or to an outside "host:port"), routed through a fault proxy of its own.

    Templates see its near end as link.<name>.host and link.<name>.port.
    """

    name: str
    to: str


class LogPattern(msgspec.Struct, frozen=True, kw_only=True):
    """A regular expression to follow in the logs. forbidden: any match is a finding. required: no match is flagged."""

    name: str
    pattern: str
    process: str = ""
    forbidden: bool = False
    required: bool = False


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """A health probe at a fixed rate, from outside. kind http or tcp, to "process.port" or to a link by name."""

    name: str
    to: str
    kind: str = "http"
    path: str = "/"
    codes: tuple[int, ...] = (200,)
    contains: str = ""
    every_s: float = 1.0
    timeout_s: float = 2.0


class UserClass(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of simulated user: a class of the app's users module, with its share of the users."""

    name: str
    weight: float = 1.0


class Crew(msgspec.Struct, frozen=True, kw_only=True):
    """Who uses the app: a Python module with User classes, or a program in any language that speaks JSON lines."""

    module: str = ""
    program: tuple[str, ...] = ()
    classes: tuple[UserClass, ...] = ()


class Arrivals(msgspec.Struct, frozen=True, kw_only=True):
    """When ops start. pattern (open): constant | poisson | ramp | burst. closed: each user waits, then thinks.

    open: rate per second (ramp goes on to rate_to), or burst_size every burst_every_s.
    closed: think_min_s .. think_max_s between the ops of a user.
    """

    model: str = "open"
    pattern: str = "constant"
    rate: float = 0.0
    rate_to: float = 0.0
    burst_size: int = 0
    burst_every_s: float = 0.0
    think_min_s: float = 0.0
    think_max_s: float = 0.0


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """The crew's work in the drive stage."""

    users: int
    length_s: float
    arrivals: Arrivals
    workers: int = 1
    warmup_s: float = 0.0
    start_jitter_s: float = 0.0
    hot_share: float = 0.0
    hot_keys: int = 0
    timeout_s: float = 5.0
    via: str = ""  # the link that users go through; "" is the first port of the first process
    mix: dict[str, float] = {}  # weight by task name, over the users module's own


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """When a fault begins. kind: at (seconds after drive begins) | stage (when stage `stage` begins, plus at_s) | ops
    (after that many completed ops)."""

    kind: str = "at"
    at_s: float = 0.0
    stage: str = ""
    ops: int = 0


class PlannedFault(msgspec.Struct, frozen=True, kw_only=True):
    """One injection, expanded from the scenario by the seed. target: a process, "link:<name>", or "all".

    params hold parsed values (seconds, bytes ...) after the fault's own parameter table.
    hold_s: from injected to heal; 0 for faults that heal themselves at once (for example restart).
    """

    id: str
    kind: str
    target: str
    trigger: Trigger
    hold_s: float = 0.0
    params: dict[str, Any] = {}
    rule: str = ""  # the scenario's fault entry that it came from, e.g. "faults[2]"


class BlastRadius(msgspec.Struct, frozen=True, kw_only=True):
    """What faults may touch, enforced by the engine: targets (empty = any of the plan), how many at once, in all."""

    targets: tuple[str, ...] = ()
    at_once: int = 1
    in_all: int = 1000


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A check to run: kind in the table of checks, gate or report, its parsed parameters."""

    name: str
    kind: str
    level: str = "gate"
    params: dict[str, Any] = {}


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A stage of the run with its bound in seconds. options are the stage's own (parsed)."""

    name: str
    within_s: float
    options: dict[str, Any] = {}


class EarlyAbort(msgspec.Struct, frozen=True, kw_only=True):
    """Stop the run when the named probe has been failing for longer than this, fault or not. 0 is never."""

    dead_s: float = 0.0
    probe: str = ""


class WaiverSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded exception for a check: reason, author, expiry (ISO date)."""

    check: str
    reason: str
    author: str
    expires: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a run needs to be executed and repeated."""

    schema: int = 1
    seatrial: str
    app: str
    app_dir: str
    scenario: str
    runtime: str
    seed: int
    knobs: tuple[Knob, ...] = ()
    artefacts: tuple[Artefact, ...] = ()
    processes: tuple[Process, ...] = ()
    links: tuple[Link, ...] = ()
    probes: tuple[Probe, ...] = ()
    logs: tuple[LogPattern, ...] = ()
    data: tuple[str, ...] = ()  # data paths relative to the deployment's data folder
    crew: Crew | None = None
    load: Load | None = None
    stages: tuple[Stage, ...] = ()
    faults: tuple[PlannedFault, ...] = ()
    blast_radius: BlastRadius = BlastRadius()
    checks: tuple[Check, ...] = ()
    early_abort: EarlyAbort = EarlyAbort()
    sample_every_s: float = 1.0  # between two samples of a process's resources; of its data folders: five times that
    waivers: tuple[WaiverSpec, ...] = ()
    claims: str = ""  # the scenario's own words on what it throws and what it verifies

    def process(self, name: str) -> Process:
        """Return the process of that name. Raises KeyError."""
        for process in self.processes:
            if process.name == name:
                return process
        raise KeyError(name)


def encode(plan: Plan) -> bytes:
    """Return the plan as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=1)


def decode(data: bytes) -> Plan:
    """Return the plan of JSON text. Raises msgspec.ValidationError when it is not one."""
    return msgspec.json.decode(data, type=Plan)
