"""report.html: one page without outside parts, nothing of a run's text is markup, and never above 5 MB."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import msgspec
import pytest
import report_samples as samples
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.history import History, LogMatch, no_ops
from seatrial.report.html import MOST_BYTES, html, op_texts
from seatrial.verdict import Evidence, Outcome, Verdict


class Page(HTMLParser):
    """Collects tags, attributes and text; checks that elements are closed in order."""

    VOID = frozenset({"meta", "path", "circle", "br"})

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.script: dict[str, str] = {}
        self.stack: list[str] = []
        self.inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.stack.append(tag)
        self.inside = dict(attrs).get("id") or tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.stack.pop() == tag
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.script[self.inside] = self.script.get(self.inside, "") + data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


KNOWN_TAGS = Page(html(samples.odd_verdict("x"), samples.plan(), samples.history())).tags | {
    "p",
    "ul",
    "rect",
    "figure",
    "table",
}


def page(verdict: Verdict, history: History | None = None) -> Page:
    return Page(html(verdict, samples.plan(), samples.history() if history is None else history))


@pytest.mark.parametrize("outcome", list(Outcome))
def test_first_screen_says_the_outcome_in_words_and_shape(outcome: Outcome) -> None:
    text = html(samples.verdict(outcome), samples.plan(), samples.history())
    hero = text[text.index("<h1>") : text.index("</h1>")]
    words = {"pass": "Pass", "fail": "Fail", "not-tested": "Not tested", "environment": "Environment trouble"}
    assert words.get(outcome.value, "Inconclusive") in hero
    assert "<svg" in hero
    assert f'class="hero is-{outcome.value}"' in text


@pytest.mark.proves("S1-40")
def test_everything_of_the_run_is_in_it() -> None:
    found = page(samples.verdict())
    wanted = (
        "212 of 7,412 acknowledged writes are gone",
        "What was not shown check leak-memory 90 s of samples",
        "ops per second",
        "latency of ops that succeeded",
        "health: health",
        "memory (RSS)",
        "CPU, share of one core",
        "open files",
        "F1 kill redis",
        "7,412 / 100",
        "12 / 12",
        "user-12/key",
        "value-31",
        "seatrial replay 20261121T031459Z-redis-kill-417",
        "seatrial run redis kill --seed 417 --runtime process --set length=90s",
        "signal 9",
        "sha256:9f2c41aa",
        "DB loaded from disk",
        "--set",
        "Debian 12",
        "acknowledged writes are kept",
        "nothing by an independent listing",
    )
    assert [w for w in wanted if w not in found.text] == []


@pytest.mark.proves("S0-78", "H-25")
def test_reading_guide_and_answers() -> None:
    text = page(samples.verdict(), History(ops=no_ops())).text
    assert "How to read a verdict" in text
    assert "How fast is it? not measured" in text
    assert "Is acknowledged data kept? fail (212 acknowledged writes lost" in text


def test_waivers_come_first() -> None:
    text = page(samples.verdict(Outcome.PASS, waivers=(samples.WAIVER,))).text
    assert text.index("snapshot mode, accepted for caches") < text.index("Every gate check held")


@pytest.mark.parametrize("verdict", [samples.verdict(), samples.odd_verdict("http://x.test/ <img src=http://x.test>")])
def test_loads_nothing_from_outside(verdict: Verdict) -> None:
    found = page(verdict)
    loads = [
        (t, n, v) for t, n, v in found.attributes if n in ("src", "href", "xlink:href", "srcset", "action", "data")
    ]
    assert all(n == "href" and v.startswith("#") for _, n, v in loads), loads
    assert not found.tags & {"link", "img", "iframe", "object", "embed", "base", "form"}
    style = found.script["style"]
    assert "url(" not in style
    assert "@import" not in style
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(|WebSocket", found.script["script"])
    policy = [v for t, _, v in found.attributes if t == "meta" and "default-src" in v]
    assert policy
    assert policy[0].startswith("default-src 'none'")


@given(
    st.one_of(st.text(st.characters()), st.sampled_from(['"><b onclick=x>', "</script><b>", "<!--", "{{ v }}", "&lt;"]))
)
@settings(max_examples=60, deadline=None)
def test_any_text_stays_text(text: str) -> None:
    log = LogMatch(t_ns=samples.at(1), process=text, pattern=text, line=text)
    verdict = samples.odd_verdict(f"<x-evil onload=1>{text}")
    found = page(verdict, samples.history().with_events((*samples.events(), log)))
    assert found.stack == []
    assert found.tags <= KNOWN_TAGS
    assert not [a for a in found.attributes if a[1].startswith("on")]
    assert "<x-evil onload=1>" in found.text
    json.loads(found.script["series"])


@pytest.mark.parametrize("outcome", [Outcome.NOT_TESTED, Outcome.ENVIRONMENT])
def test_an_empty_run_has_a_page(outcome: Outcome) -> None:
    found = page(samples.empty_verdict(outcome), samples.empty_history())
    assert "Nothing was measured in this run." in found.text
    assert "everything the run ended without a single check" in found.text
    assert found.script["series"] == "null"


def test_never_above_five_megabytes() -> None:
    evidence = Evidence(what="&" * 5000, key="&" * 5000, expected="&" * 5000, observed="&" * 5000, line="&" * 5000)
    finding = msgspec.structs.replace(samples.LOST, evidence=(evidence,) * 50, claim="&" * 5000, reason="&" * 5000)
    checks = tuple(msgspec.structs.replace(finding, name=f"c{i}") for i in range(400))
    text = html(samples.verdict(checks=checks), samples.plan(), samples.history())
    assert len(text.encode()) <= MOST_BYTES
    assert "more in verdict.json" in text


def test_the_series_behind_the_charts_add_up() -> None:
    found = page(samples.verdict())
    data = json.loads(found.script["series"])
    keys = [v for t, n, v in found.attributes if t == "output" and n == "data-s"]
    assert set(keys) == set(data["series"])
    assert all(len(s["v"]) == data["n"] for s in data["series"].values())
    rates = [data["series"][k] for k in keys if data["series"][k]["u"] == "/s"]
    total = sum(sum(s["v"]) for s in rates) * data["w"]
    assert total == pytest.approx(18_000, rel=1e-3)


def test_ops_of_the_evidence_are_told_in_words() -> None:
    history = samples.history()
    lines = op_texts(history, [0, len(history.ops) - 1, 10**9, -1])
    assert len(lines) == 2
    assert lines[0].startswith("op 0: user ")
    assert "→ in flight" in lines[1]
