"""The kill matrix as data: every victim, what is wrong with it, and which findings must say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SCENARIOS = ("steady", "weather", "freeze", "leaks", "registers")
SEED = 7


@dataclass(frozen=True, kw_only=True)
class Victim:
    """A service, crew or neighbour with one defect.

    bug: what the service is started with. catches: the checks that must go red, with the outcome they must have.
    also: checks that may go red as well, with the reason why that is a consequence and no accident.
    stage: the stage that must not pass, with its outcome. outcome: of the whole verdict. words: all of these must be
    in what the findings and stages say. knobs: for the scenario. crew, program: who uses the service instead of
    users.py. neighbour: how foreign.py gets in the way.
    """

    name: str
    defect: str
    scenario: str
    words: tuple[str, ...]
    bug: str = "none"
    catches: Mapping[str, str] = field(default_factory=dict)
    also: Mapping[str, str] = field(default_factory=dict)
    stage: tuple[str, str] | None = None
    outcome: str = "fail"
    knobs: Mapping[str, str] = field(default_factory=dict)
    crew: str = ""
    program: tuple[str, ...] = ()
    neighbour: str = ""


def _bug(name: str, defect: str, scenario: str, catches: str, words: str, **more: object) -> Victim:
    """Return a service with a planted defect that every one of these checks must fail."""
    must = dict.fromkeys(catches.split(), "fail")
    return Victim(name=name, bug=name, defect=defect, scenario=scenario, catches=must, words=(words,), **more)  # type: ignore[arg-type]


READS_DURING = {"session": "users read their own keys between the fault and the read-back, too"}
NOT_OK = "an op that is not ok counts as a bad answer, and as one that was never answered"
CREW_BROKE = {
    "success_rate": "what the crew itself broke off says nothing of the service",
    "ops_availability": "what the crew itself broke off says nothing of the service",
    "latency": "what the crew itself broke off says nothing of the service",
}

VICTIMS = (
    # -- data
    _bug("drops-writes", "drops one acknowledged write in 500 (an append)", "steady", "durability", "lost"),
    _bug("corrupts", "stores one value in 20 with its end overwritten", "steady", "durability session", "phantom"),
    _bug("duplicates", "applies one append in 20 twice, as after a retry", "steady", "durability", "duplicated"),
    _bug("reorders", "swaps one append in 20 with the one before it", "steady", "durability", "reordered"),
    _bug(
        "stale-reads", "answers reads from a copy that is up to 0.7 s old", "steady", "session", "wrong of",
        also={"durability": "the read-back may begin before the copy is renewed"},
    ),
    _bug(
        "acks-before-store", "acknowledges, and stores a second later", "weather", "durability", "lost",
        also=READS_DURING,
    ),
    _bug("loses-on-restart", "keeps everything in memory only", "weather", "durability", "lost", also=READS_DURING),
    _bug(
        "resurrects-deletes", "does not store deletes, so a restart brings them back", "weather", "durability",
        "resurrected", also=READS_DURING,
    ),
    Victim(
        name="goes-back", bug="stale-reads", defect="the same stale reads, held against a model of registers",
        scenario="registers", catches={"model": "fail", "session": "fail"}, words=("no order explains",),
    ),
    # -- time and availability
    _bug("slow", "answers 120 ms late", "steady", "latency", "p90 of response time"),
    _bug("errors", "answers 500 to one request in 20", "steady", "success_rate ops_availability", "were ok"),
    _bug(
        "flaps", "exits by itself two seconds after each start", "steady", "stability", "nobody had asked it to",
        also={
            "availability": "it is down in between", "ops_availability": "it is down in between",
            "success_rate": NOT_OK, "latency": NOT_OK, "identity": "while it is down it cannot answer",
        },
    ),
    _bug(
        "placeholder", "answers 200 with a page that asks for patience", "steady", "", "without 'ok kv' in its body",
        stage=("ready", "fail"),
    ),
    _bug(
        "placeholder-later", "answers 200 with a page that asks for patience from the third second on", "steady",
        "availability ops_availability success_rate session", "health for", stage=("heal", "fail"),
        also={"latency": NOT_OK},
    ),
    _bug(
        "dead-after-fault", "answers 503 once it was frozen", "freeze", "recovery availability ops_availability",
        "these probes still fail", stage=("heal", "fail"),
        also={"faults": "the freeze is not gone before the server is ready again"},
    ),
    _bug(
        "slow-recovery", "is healthy by its own word, and refuses users for 1.9 s after a start", "weather", "recovery",
        "1.2 s are allowed",
    ),
    Victim(
        name="does-not-come-back", bug="does-not-come-back", defect="refuses to start on the data of its first life",
        scenario="weather", catches={"faults": "inconclusive", "stability": "fail"}, stage=("heal", "fail"),
        words=("crashes in a loop", "was not healed", "data folder is in use"),
        also={"notices-kill": "a server that does not start cannot say that it recovered"},
    ),
    # -- life and identity
    _bug("ignores-sigterm", "ignores SIGTERM", "weather", "stop", "SIGTERM was ignored for 1 s"),
    _bug("leaves-child", "leaves a daemon of its own behind when it is stopped", "weather", "stop", "left"),
    _bug(
        "wrong-version", "is another version than the artefact says", "steady", "identity", "wanted '1.0', is '0.9'",
        stage=("ready", "fail"),
    ),
    _bug(
        "rolls-back", "goes back to its old version at a restart, in good health", "weather", "identity",
        "says it is '0.9', not '1.0'", stage=("readback", "fail"),
    ),
    Victim(
        name="double-forks", bug="double-forks", defect="forks twice and serves as a daemon of another session",
        scenario="weather", outcome="pass", words=("all 12 gate checks hold",),
    ),
    # -- logs
    _bug("complains", "logs an error line now and then and answers well", "steady", "logs", "matches error"),
    _bug("mute", "never logs the line that must be there", "steady", "logs", "serves never matched"),
    _bug("silent", "recovers without saying so", "weather", "notices-kill", "was not followed by recovered"),
    # -- leaks
    _bug("leaks-memory", "keeps 60 kB for each request", "leaks", "leak-memory", "rss of server grew by"),
    _bug("leaks-fds", "never closes a file that each request opens", "leaks", "leak-files", "fds of server grew by"),
    _bug("leaks-disk", "writes 40 kB of rubbish for each change", "leaks", "leak-disk", "data_bytes of server grew by"),
    # -- neighbours
    Victim(
        name="foreign-port", bug="foreign-port", neighbour="port", scenario="steady", outcome="environment",
        defect="does not get its port and goes on without; a foreign server answers there, in good health",
        words=("is answered by", "foreign.py", "not part of this run"), stage=("ready", "environment"),
    ),
    Victim(
        name="left-behind", neighbour="files", defect="a foreign job keeps writing into the data folder of the run",
        scenario="steady", knobs={"length": "2s"}, catches={"teardown": "fail"}, stage=("teardown", "fail"),
        words=("left behind",),
    ),
    # -- crew
    Victim(
        name="users-import", crew="bad_users_import.py", defect="the users module breaks when it is imported",
        scenario="steady", outcome="inconclusive", stage=("drive", "inconclusive"),
        words=("bad_users_import.py:5", "KeyError"), catches={"accounting": "inconclusive"},
    ),
    Victim(
        name="users-task", crew="bad_users_task.py", defect="a task of the users module raises what is no answer",
        scenario="steady", outcome="inconclusive", stage=("drive", "inconclusive"),
        words=("bad_users_task.py:", "nonsense"), catches={"accounting": "inconclusive"}, also=CREW_BROKE,
    ),
    *(
        Victim(
            name=f"crew-{how}", program=("python3", "bad_crew.py", how), defect=f"the crew program {defect}",
            scenario="steady", outcome="inconclusive", stage=("drive", "inconclusive"), words=(words,),
            catches={"accounting": "inconclusive"}, also=CREW_BROKE,
            knobs={"timeout": "500ms", "length": "6s"},  # a program counts as hanging after 2 * timeout + 3 s
        )
        for how, defect, words in (
            ("garbage", "prints what is no line of the protocol", "is not a line of the crew protocol"),
            ("crash", "ends by itself in the middle of its work", "ended with code 7"),
            ("hang", "falls silent in the middle of its work", "hangs"),
        )
    ),
)  # fmt: skip
