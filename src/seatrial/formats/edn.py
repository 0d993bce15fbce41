"""EDN to values: an incremental reader of forms that knows its lines. edn_quick.py is the fast way for plain forms.

Keywords and symbols become str (:x and "x" are the same then), vectors and lists become list, sets frozenset, maps
dict, nil None, chars and tagged text str, ratios Fraction. Inside keys and sets, lists are tuples. Tags are dropped:
the tagged value stands for itself.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

DEEPEST = 200  # nesting beyond this is no recording, and would exhaust the stack of whoever walks the value
LONGEST_STRING = 1 << 24
_CACHED = 1 << 16

TOKEN = re.compile(
    r"""(?P<skip>(?:[\s,]+|;[^\n]*)+)
      | (?P<open>\#\{|[\[({])
      | (?P<close>[\])}])
      | (?P<string>"[^"\\]*(?:\\.[^"\\]*)*")
      | (?P<char>\\(?:u[0-9a-fA-F]{4}(?![^\s,"';()\[\]{}])|[A-Za-z]+|.))
      | (?P<tag>\#_|\#[A-Za-z:][^\s,"';()\[\]{}]*)
      | (?P<atom>(?:\#\#)?[^\s,"';()\[\]{}\\\#^`~@][^\s,"';()\[\]{}\\^`~@]*)
      | (?P<bad>.)""",
    re.VERBOSE | re.DOTALL,
)
_INT = re.compile(r"[+-]?\d+N?")
_FLOAT = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?M?")
_RATIO = re.compile(r"[+-]?\d+/\d+")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|[0-3]?[0-7]{1,2}|.)", re.DOTALL)
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\", "/": "/", "'": "'"}
_CHARS = {"newline": "\n", "space": " ", "tab": "\t", "return": "\r", "backspace": "\b", "formfeed": "\f"}
_CLOSES = {"[": "]", "(": ")", "{": "}", "#{": "}"}
_WORDS = {"nil": None, "true": True, "false": False, "##Inf": math.inf, "##-Inf": -math.inf, "##NaN": math.nan}


class EdnError(Exception):
    """What cannot be read: the line, what stands there, what was expected."""

    def __init__(self, line: int, problem: str, expected: str = "", value: str = "") -> None:
        super().__init__(problem)
        self.line = line
        self.problem = problem
        self.expected = expected
        self.value = value


@dataclass(slots=True)
class _Frame:
    kind: str  # an opening bracket, "#_" (drop the next form) or "#" (a tag, for the next form)
    line: int
    items: list[Any] = field(default_factory=list)
    tag: str = ""


@dataclass(slots=True)
class Forms:
    """Takes text as it comes and gives whole forms. A list or vector around all of them (the envelope) is opened.

    line: the line that the next text begins on.
    """

    line: int = 1
    envelope: tuple[str, int] | None = None
    closed: bool = False  # an envelope was there and is closed
    _stack: list[_Frame] = field(default_factory=list)
    _rest: str = ""
    _atoms: dict[str, Any] = field(default_factory=dict)

    @property
    def between(self) -> bool:
        """Whether no form is half read."""
        return not self._stack and not self._rest

    def feed(self, text: str, last: bool = False) -> list[tuple[int, Any]]:
        """Return the (line, value) of the forms that this text completes. Raises EdnError."""
        text, self._rest = self._rest + text, ""
        found: list[tuple[int, Any]] = []
        at, stack = 0, self._stack
        for match in TOKEN.finditer(text):
            kind, start = match.lastgroup, match.start()
            if kind == "skip":
                continue
            self.line += text.count("\n", at, start)
            at = start
            token = match.group()
            if kind == "atom":
                self._put(self._atom(token), self.line, found)
            elif kind == "open":
                self._open(token)
            elif kind == "close":
                self._close(token, found)
            elif kind == "string":
                self._put(self._string(token), self.line, found)
            elif kind == "tag":
                stack.append(_Frame("#_" if token == "#_" else "#", self.line, tag=token[1:]))
            elif kind == "char":
                self._put(_char(token, self.line), self.line, found)
            elif token == '"' and not last and len(text) - start < LONGEST_STRING:
                self._rest = text[start:]
                return found
            else:
                raise self._stray(token, text[start : start + 60])
        self.line += text.count("\n", at)
        return found

    def ending(self) -> tuple[int, str] | None:
        """Return (line, what is cut off) when the text ended too early, else None."""
        if self._rest:
            return self.line, "the file ends inside a string"
        if self._stack:
            return self._stack[0].line, "the file ends inside the form that begins here"
        if self.envelope and not self.closed:
            kind, line = self.envelope
            return line, f"the file ends before the closing {_CLOSES[kind]} of this {kind}"
        return None

    def _open(self, token: str) -> None:
        if not self._stack and self.envelope is None and token in "[(":
            self.envelope = (token, self.line)
            return
        if self.closed:
            raise EdnError(self.line, "something follows the end of the recording", "the end of the file", token)
        if len(self._stack) >= DEEPEST:
            raise EdnError(self.line, f"nested more than {DEEPEST} deep", "a recording of ops")
        self._stack.append(_Frame(token, self.line))

    def _close(self, token: str, found: list[tuple[int, Any]]) -> None:
        if not self._stack:
            if self.envelope and not self.closed and _CLOSES[self.envelope[0]] == token:
                self.closed = True
                return
            raise EdnError(self.line, "nothing is open that this could close", "an op map", token)
        frame = self._stack.pop()
        if _CLOSES.get(frame.kind) != token:
            expected = _CLOSES.get(frame.kind, "a form after the tag")
            raise EdnError(self.line, f"{frame.kind} of line {frame.line} is closed by {token}", expected, token)
        self._put(_made(frame, self.line), frame.line, found)

    def _put(self, value: Any, line: int, found: list[tuple[int, Any]]) -> None:
        stack = self._stack
        while stack and stack[-1].kind in ("#", "#_"):
            frame = stack.pop()
            line = frame.line
            if frame.kind == "#_":
                return
        if stack:
            stack[-1].items.append(value)
        elif self.closed:
            raise EdnError(line, "something follows the end of the recording", "the end of the file", str(value))
        else:
            found.append((line, value))

    def _atom(self, token: str) -> Any:
        known = self._atoms.get(token, self)
        if known is not self:
            return known
        value = atom(token, self.line)
        if len(self._atoms) < _CACHED:
            self._atoms[token] = value
        return value

    def _string(self, token: str) -> str:
        inner = token[1:-1]
        if "\\" not in inner:
            return inner
        text = _ESCAPE.sub(self._unescaped, inner)
        return _SURROGATES.sub(_joined, text)

    def _unescaped(self, match: re.Match[str]) -> str:
        code = match[1]
        if code in _ESCAPES:
            return _ESCAPES[code]
        if len(code) == 5 and code[0] == "u":
            return chr(int(code[1:], 16))
        if code.isdigit():
            return chr(int(code, 8))
        known = 'one of \\t \\n \\r \\" \\\\ \\uXXXX'
        raise EdnError(self.line, "this escape is not known in a string", known, match[0])

    def _stray(self, token: str, context: str) -> EdnError:
        if token == '"':
            return EdnError(self.line, "a string that is not closed", 'a closing "', context)
        return EdnError(self.line, "this is not EDN", "an op map {...}", context)


def _joined(pair: re.Match[str]) -> str:
    return pair[0].encode("utf-16", "surrogatepass").decode("utf-16")


def atom(token: str, line: int = 0) -> Any:
    """Return the value of a word, number or keyword. Raises EdnError."""
    if token in _WORDS:
        return _WORDS[token]
    if token[0] == ":" and len(token) > 1:
        return token[1:]
    if _INT.fullmatch(token):
        return _int(token.removesuffix("N"), line)
    if _FLOAT.fullmatch(token):
        return float(token.removesuffix("M"))
    if _RATIO.fullmatch(token):
        above, _, below = token.partition("/")
        if int(below):
            return Fraction(int(above), int(below))
    if token[0].isdigit() or token[0] == ":" or token.startswith("##"):
        raise EdnError(line, "this is neither a number nor a keyword", "a value", token)
    return token


def _int(token: str, line: int) -> int:
    if len(token) > 1000:
        raise EdnError(line, "a number of more than 1,000 digits", "a value", token)
    return int(token)


def _char(token: str, line: int) -> str:
    name = token[1:]
    if len(name) == 1 or name in _CHARS:
        return _CHARS.get(name, name)
    if len(name) == 5 and name[0] == "u":
        return chr(int(name[1:], 16))
    raise EdnError(line, "this character is not known", "a value", token)


def _made(frame: _Frame, line: int) -> Any:
    if frame.kind in "[(":
        return frame.items
    if frame.kind == "#{":
        return frozenset(frozen(item) for item in frame.items)
    return mapped(frame.items, line)


def mapped(items: list[Any], line: int) -> dict[Any, Any]:
    """Return the map of alternating keys and values. Raises EdnError when one is missing."""
    if len(items) % 2:
        raise EdnError(line, "a map with a key that has no value", "key and value in turn", str(items[-1])[:60])
    return {frozen(key): value for key, value in zip(items[::2], items[1::2], strict=True)}


def frozen(value: Any) -> Any:
    """Return a value that can be a key: lists as tuples, maps as frozensets of their items."""
    if isinstance(value, list):
        return tuple(frozen(one) for one in value)
    if isinstance(value, dict):
        return frozenset((key, frozen(one)) for key, one in value.items())
    return value
