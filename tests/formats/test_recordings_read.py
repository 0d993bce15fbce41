"""Readers of recordings: each format as other tools write it, what is recognised, and what is said of a bad line."""

from __future__ import annotations

import json
import re
import struct
from fractions import Fraction

import pytest
from recording_kit import read

from seatrial.errors import UsageError
from seatrial.formats import FORMATS, READERS, format_of
from seatrial.formats import read as read_sources
from seatrial.formats.source import Source
from seatrial.history import OpOutcome

EDN = """; a comment
[{:process 0, :type :invoke, :f :cas, :value [1 2] :time 5}
 {:process :nemesis, :type :info, :f :start, :value {:cut #{"n1" "n2"}}}
 {:process 1, :type :invoke, :f :read, :value nil}
 {:process 0, :type :ok,
  :f :cas, :value [1 2], :time 9}
 #_ {:process 9 :type :ok}
 {:process 1 :type :info :f :read :value nil :error [:timed-out "why"]}]
"""
LOG = (
    "WARN  jepsen.core - Test crashed!\n"
    "INFO  jepsen.util - 0\t:invoke\t:write\t3\n"
    "INFO  jepsen.util - 1\t:invoke\t:cas\t[1 2]\n"
    "INFO  jepsen.util - 0\t:ok\t:write\t3\n"
    "INFO  jepsen.util - 1\t:info\t:cas\t:timed-out\n"
    "INFO  jepsen.util - :nemesis\t:info\t:start\tnil\n"
)
KV = "".join(f'{{:process 3, :type :{kind}, :f :put, :key "a", :value "x"}}\n' for kind in ("invoke", "ok"))
JSONL = '{"process":0,"type":"invoke","f":"read","value":null}\n{"process":0,"type":"ok","f":"read","value":{"0":5}}\n'
CALLS = "w(1,7,0,0)\nr(2,0,0,0)\nw(1,9,0,-1)\nr(1,7,1,1)\n"
WORDS = "w 0 0\n-----\nr 0 1\n=====\nw 0 1\nr 1 1"


def dbcop(sessions: list[list[tuple[list[tuple[int, int, int, int]], int]]]) -> bytes:
    """Return dbcop's bytes of sessions of (ops, committed)."""
    made = struct.pack("<5q", 1, 3, 4, 5, 6) + b"".join(struct.pack("<q", 2) + b"hi" for _ in range(3))
    made += struct.pack("<q", len(sessions))
    for session in sessions:
        made += struct.pack("<q", len(session))
        for ops, committed in session:
            made += struct.pack("<q", len(ops)) + b"".join(struct.pack("<BqqB", *op) for op in ops) + bytes([committed])
    return made


DBCOP = dbcop([[([(1, 5, 7, 1), (0, 6, 0, 1)], 1)], [([(1, 5, 8, 1)], 0), ([(0, 5, 7, 1)], 1)]])
COBRA = b"".join(
    kind + struct.pack(f">{len(fields)}q", *fields)
    for kind, fields in [
        (b"S", [1]),
        (b"W", [11, 5, 99]),
        (b"C", [1]),
        (b"S", [2]),
        (b"R", [0xBEBEEBEE, 0xBEBEEBEE, 6, 0]),
        (b"C", [2]),
    ]
)
SAMPLES = {
    "edn": EDN,
    "jepsen-log": LOG,
    "jsonl": JSONL,
    "rw-text": CALLS,
    "awdit": WORDS,
    "dbcop": DBCOP,
    "cobra": COBRA,
}
SAMPLES["json"] = json.dumps([json.loads(line) for line in JSONL.splitlines()], indent=1)


def test_edn_with_comments_discards_tags_and_the_nemesis() -> None:
    found = read(EDN)
    first, second = found.ops
    assert (first.f, first.value, first.outcome, first.start_ns, first.end_ns) == ("cas", [1, 2], OpOutcome.OK, 5, 9)
    assert (first.line, second.line) == (2, 4)
    assert (second.outcome, second.end, second.error) == (OpOutcome.UNKNOWN, None, "timed-out: why")
    assert first.start < second.start < (first.end or 0)
    assert [note.f for note in found.notes] == ["start"]
    assert found.notes[0].value == {"cut": frozenset({"n1", "n2"})}


def test_edn_values_of_every_kind() -> None:
    some = r'1 -2N 1.5 2/3 true \a \newline \u0041 "q\"\\\u00e9" #inst "2020" sym #{[1]} {[1] ()}'
    text = f"{{:type :invoke :f :x :value [{some}]}}"
    expected = [1, -2, 1.5, Fraction(2, 3), True, "a", "\n", "A", 'q"\\é', "2020", "sym", frozenset({(1,)}), {(1,): []}]
    assert read(text).ops[0].value == expected


def test_jepsen_log_among_other_lines() -> None:
    found = read(LOG)
    assert [(op.process, op.f, op.value, op.outcome) for op in found.ops] == [
        (0, "write", 3, OpOutcome.OK),
        (1, "cas", [1, 2], OpOutcome.UNKNOWN),
    ]
    assert found.ops[1].error == "timed-out"
    assert len(found.notes) == 1


def test_kv_lines_are_keyed() -> None:
    found = read(KV)
    assert found.keyed
    assert found.ops[0].value == ["a", "x"]


def test_json_objects_keyed_by_numbers_have_numbers_as_keys() -> None:
    for text in (JSONL, SAMPLES["json"], json.dumps({"history": json.loads(SAMPLES["json"])})):
        assert read(text).ops[0].value == {0: 5}


def test_calls_are_transactions_of_sessions() -> None:
    found = read(CALLS)
    assert [(op.process, op.value, op.outcome) for op in found.ops] == [
        (0, [["w", 1, 7], ["r", 2, 0]], OpOutcome.OK),
        (0, [["w", 1, 9]], OpOutcome.FAIL),
        (1, [["r", 1, 7]], OpOutcome.OK),
    ]
    assert found.initial == {1: 0, 2: 0}
    assert not found.realtime


def test_a_key_that_is_written_0_by_the_recording_does_not_begin_as_0() -> None:
    assert read("w(1,0,0,0)\nr(2,0,0,0)\n").initial == {2: 0}


def test_words_are_transactions_of_sessions() -> None:
    found = read(WORDS)
    assert [(op.process, op.value) for op in found.ops] == [
        (0, [["w", 0, 0]]),
        (0, [["r", 0, 1]]),
        (1, [["w", 0, 1], ["r", 1, 1]]),
    ]
    assert found.initial is None


def test_dbcop_binary() -> None:
    found = read(DBCOP)
    assert [(op.process, op.value, op.outcome) for op in found.ops] == [
        (0, [["w", 5, 7], ["r", 6, 0]], OpOutcome.OK),
        (1, [["w", 5, 8]], OpOutcome.FAIL),
        (1, [["r", 5, 7]], OpOutcome.OK),
    ]
    assert found.initial == {5: 0, 6: 0}


def test_cobra_logs_are_sessions_of_one_recording() -> None:
    found = read_sources([Source("T1.log", [COBRA]), Source("T2.log", [COBRA])])
    assert [(op.process, op.value) for op in found.ops] == [
        (0, [["w", 5, 11]]),
        (0, [["r", 6, 0]]),
        (1, [["w", 5, 11]]),
        (1, [["r", 6, 0]]),
    ]


@pytest.mark.parametrize("name", SAMPLES)
def test_every_format_is_recognised_by_its_first_bytes(name: str) -> None:
    sample = SAMPLES[name]
    assert format_of(sample if isinstance(sample, bytes) else sample.encode()) == name
    assert read(sample).format == name


def test_every_reader_is_in_the_list_of_formats() -> None:
    assert set(READERS) | {"cobra", "journal"} == set(FORMATS)


@pytest.mark.parametrize("pieces", [1, 7, 64])
@pytest.mark.parametrize("name", SAMPLES)
def test_a_recording_may_come_in_any_pieces(name: str, pieces: int) -> None:
    assert read(SAMPLES[name], pieces=pieces) == read(SAMPLES[name])


def test_completions_alone_overlap() -> None:
    found = read('{"type":"ok","process":0,"f":"read","value":1}\n{"type":"ok","process":1,"f":"read","value":2}\n')
    assert not found.realtime
    assert found.ops[1].start < (found.ops[0].end or 0)


BAD = {
    "unknown type": ("jsonl", JSONL + '{"process":0,"type":"done","f":"read"}\n', "line 3", "invoke"),
    "no type": ("edn", "{:process 1}", "line 1", "type"),
    "bracket": ("edn", "{:type :invoke :value [1)}", "line 1", "]"),
    "odd map": ("edn", "{:type :invoke\n :value}", "line 2", "key"),
    "escape": ("edn", r'{:type :invoke :value "\q"}', "line 1", "escape"),
    "number": ("edn", "{:type :invoke :value 1x}", "line 1", "number"),
    "after the end": ("edn", "[{:type :invoke}]\n{:type :ok}", "line 2", "end"),
    "twice": ("edn", "{:type :invoke :process 1}\n{:type :invoke :process 1}", "line 2", "ok, fail or info"),
    "nothing open": ("edn", "{:type :invoke :process 1}\n{:type :ok :process 2}", "line 2", "invoke"),
    "half keyed": ("edn", "{:type :invoke :process 1 :key 1}\n{:type :invoke :process 2}", "line 2", "key"),
    "middle of lines": ("jsonl", '{"type"\n' + JSONL, "line 1", "op map"),
    "comma": ("json", '[{"type":"invoke"}\n{"type":"ok"}]', "line 2", "comma"),
    "log": ("jepsen-log", LOG + "INFO  jepsen.util - 0\t:whatever\t:write\t3\n", "line 7", ":invoke"),
    "log value": ("jepsen-log", LOG + "INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2\n", "line 7", "EDN"),
    "call": ("rw-text", CALLS + "x(1,2,3,4)\nr(1,7,1,1)\n", "line 5", "r(key"),
    "word": ("awdit", WORDS + "\nq 1 2\nr 1 1", "line 7", "r key"),
    "bytes": ("dbcop", DBCOP[:8] + b"\xff" * 8 + DBCOP[16:], "byte 8", "nodes"),
    "more bytes": ("dbcop", DBCOP + b"\x00", f"byte {len(DBCOP)}", "end"),
    "record": ("cobra", COBRA[:9] + b"S" + COBRA[10:], "byte 9", "W and R"),
    "not text": ("jsonl", b'{"type": "\xff"}', "byte 10", "UTF-8"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_told_with_file_line_and_what_was_expected(name: str) -> None:
    format, text, where, expected = BAD[name]
    with pytest.raises(UsageError) as caught:
        read(text, format)
    assert f"here: {where}" in str(caught.value)
    assert expected in str(caught.value)


def test_many_bad_lines_are_told_together_and_not_without_end() -> None:
    with pytest.raises(UsageError) as caught:
        read("q 1\n" * 1000, "awdit")
    assert len(caught.value.mistakes) == 20


CUT = {
    "edn": (EDN[:-30], "line 8"),
    "edn envelope": (EDN.rstrip()[:-1], "line 2"),
    "edn string": ('{:type :invoke :value "abc', "string"),
    "jsonl": (JSONL[:-20], "line 2"),
    "json": (SAMPLES["json"][:-20], "line"),
    "json array": (str(SAMPLES["json"]).rstrip()[:-1], "closing ]"),
    "jepsen-log": (LOG.replace("INFO  jepsen.util - :nemesis\t:info\t:start\tnil\n", "")[:-5], "line 5"),
    "rw-text": (CALLS[:-4], "line 4"),
    "awdit": (WORDS[:-2], "line 6"),
    "dbcop": (DBCOP[:-3], "byte"),
    "cobra": (COBRA[:-3], "byte"),
    "cobra transaction": (COBRA[:-9], "inside a transaction"),
}


@pytest.mark.parametrize("name", CUT)
def test_a_file_that_is_cut_off_says_so(name: str) -> None:
    text, where = CUT[name]
    found = read(text)
    assert found.problems
    assert re.search(re.escape(where), found.problems[0]), found.problems
