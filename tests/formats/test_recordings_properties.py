"""Properties of recordings: what is written reads back the same, and no text, whole or cut, brings a reader down."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recording_kit import event_maps, read, values
from test_recordings_read import SAMPLES

from seatrial.errors import UsageError
from seatrial.formats import FORMATS, READERS, WRITERS, edn_ops
from seatrial.formats.edn import EdnError, Forms
from seatrial.formats.edn_quick import maps_of
from seatrial.formats.source import Source
from seatrial.formats.writing import edn_text
from seatrial.history.recorded import Recorded

FEW, SOME = settings(max_examples=60, deadline=None), settings(max_examples=200, deadline=None)
SOUP = st.text(st.sampled_from(list('{}[]()#_:;"\\, \n\t019.-+aeNM/nilx\x01')), max_size=30)


def read_or_refused(data: str | bytes, name: str) -> tuple[Recorded | None, str]:
    """Return (recording, "") or (None, what was said); any other error fails the test."""
    try:
        return read(data, name), ""
    except UsageError as error:
        return None, str(error)


def bare(recorded: Recorded) -> Any:
    """Return what must come back: all but lines, formats, and where unknown ops were told (they end nowhere)."""
    places = sorted({p for op in recorded.ops for p in (op.start, op.end) if p is not None})
    rank = {place: number for number, place in enumerate(places)}
    ops = [
        replace(op, start=rank[op.start], end=None if op.end is None else rank[op.end], line=0) for op in recorded.ops
    ]
    return ops, recorded.keyed, recorded.realtime, recorded.problems


@FEW
@given(event_maps(), st.sampled_from(sorted(WRITERS)))
def test_what_is_written_reads_back_the_same(made: list[dict[str, Any]], name: str) -> None:
    text = "".join(json.dumps(one) + "\n" for one in made)
    first = read(text)
    again = read("".join(WRITERS[name](first)))
    assert bare(again) == bare(first)


@SOME
@given(values)
def test_a_value_reads_back_from_edn(value: Any) -> None:
    forms = Forms(envelope=("[", 1))
    [(_, found)] = forms.feed(edn_text(value), last=True)
    assert found == value


@SOME
@given(event_maps(), st.data())
def test_the_quick_way_of_edn_says_what_the_slow_one_says(made: list[dict[str, Any]], data: st.DataObject) -> None:
    text = "".join(WRITERS["edn"](read("".join(json.dumps(one) + "\n" for one in made))))
    at = data.draw(st.integers(0, len(text)))
    text = text[:at] + data.draw(SOUP) + text[at:]
    compare_ways(text)


@SOME
@given(SOUP)
def test_the_quick_way_never_reads_what_the_slow_one_refuses(text: str) -> None:
    compare_ways(text)


def compare_ways(text: str) -> None:
    quick = maps_of(text, 1)
    if quick is None:
        return
    forms = Forms()
    try:
        slow = forms.feed(text, last=True)
    except EdnError as error:
        pytest.fail(f"quick read {text!r}, slow says {error}")
    assert forms.between or not quick
    assert repr(quick) == repr(slow)


@SOME
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_any_truncation_is_a_clear_error_or_a_problem_or_a_shorter_recording(name: str, data: st.DataObject) -> None:
    sample = SAMPLES[name]
    raw = sample if isinstance(sample, bytes) else sample.encode()
    cut = raw[: data.draw(st.integers(0, len(raw)))]
    found, said = read_or_refused(cut, name)
    if found is None:
        assert "line" in said or "byte" in said
        return
    whole = read(sample)
    assert found.problems or cut.endswith(b"\n") or len(found.ops) <= len(whole.ops)
    if name in ("dbcop", "json") and cut.strip() != raw.strip():
        assert found.problems


@SOME
@given(st.one_of(st.binary(max_size=80), SOUP.map(str.encode)), st.sampled_from([*sorted(READERS), "cobra", "auto"]))
def test_no_bytes_bring_a_reader_down(data: bytes, name: str) -> None:
    found, said = read_or_refused(data, name)
    assert found is not None or "here" in said


@SOME
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_damage_in_the_middle_brings_no_reader_down(name: str, data: st.DataObject) -> None:
    sample = SAMPLES[name]
    raw = bytearray(sample if isinstance(sample, bytes) else sample.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    found, said = read_or_refused(bytes(raw), name)
    assert found is not None or "here" in said
    assert found is None or all(op.end is None or op.start < op.end for op in found.ops)


@pytest.mark.parametrize("name", ["edn", "json", "jsonl"])
def test_deep_nesting_is_an_error_and_not_a_crash(name: str) -> None:
    deep = "[" * 100_000
    text = {
        "edn": "{:type :invoke :value ",
        "json": '[{"type":"invoke","value":',
        "jsonl": '{"type":"invoke","value":',
    }[name]
    found, said = read_or_refused(f"{text}{deep}", name)
    assert "line 1" in said if found is None else found.problems


def test_a_block_with_one_strange_op_is_read_right() -> None:
    plain = "{:type :invoke, :process %d, :f :read, :value nil}\n"
    text = "".join(plain % n for n in range(2000)).replace("nil}", "#{1 2}}", 1)
    found = edn_ops.read(Source("here", [text.encode()]))
    assert [op.line for op in found.ops] == list(range(1, 2001))
    assert found.ops[0].value == frozenset({1, 2})


def test_every_format_is_told_in_the_list() -> None:
    assert all(FORMATS.values())
