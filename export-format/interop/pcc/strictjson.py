"""JSON that has one meaning: the strict reading of documents (5.7) and of rows (6.1)."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from .words import MAX_DEPTH, MAX_SAFE

STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
BRACKET = re.compile(rb"[\[\]{}]")
SURROGATE = re.compile("[\ud800-\udfff]")


class JsonError(ValueError):
    """Why a text is no strict JSON."""


def depth(data: bytes) -> int:
    """How many arrays and objects lie in each other at the deepest place. Cheap, and before anything recurses."""
    level = deepest = 0
    for bracket in BRACKET.finditer(STRING.sub(b"", data)):
        if bracket.group() in b"[{":
            level += 1
            deepest = max(deepest, level)
        else:
            level -= 1
    return deepest


def parse(data: bytes) -> Any:
    """The value of a JSON document (5.7), or JsonError. What 6 asks of a row besides is another spelling."""
    if data.startswith(b"\xef\xbb\xbf"):
        raise JsonError("begins with a byte order mark")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise JsonError(f"is not UTF-8 at byte {error.start}") from None
    if depth(data) > MAX_DEPTH:
        raise JsonError(f"is deeper than {MAX_DEPTH} levels")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_members,
            parse_int=_whole,
            parse_float=_fraction,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as error:
        raise JsonError(f"{error.msg} at character {error.pos}") from None
    except RecursionError:
        raise JsonError("is too deep") from None
    _no_half(value)
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise JsonError("has a member twice")
    for name, value in pairs:
        _whole_text(name)
        _no_half(value)
    return members


def _no_half(value: Any) -> None:
    """Refuses half surrogate pairs in a member's text and in the texts of its arrays; objects looked at theirs."""
    if isinstance(value, str):
        _whole_text(value)
    elif isinstance(value, list):
        for item in value:
            _no_half(item)


def _whole_text(text: str) -> None:
    if not text.isascii() and SURROGATE.search(text):
        raise JsonError("has half a surrogate pair")


def _whole(token: str) -> int | float:
    """Digits alone: below 10^21 the very number, from there on the binary64 nearest to it."""
    if token == "-0":
        return -0.0
    if len(token.removeprefix("-")) > 21:
        return _finite(token)
    value = int(token)
    if abs(value) > MAX_SAFE:
        raise JsonError(f"has the whole number {token[:30]}, which many readers round")
    return value


def _finite(token: str) -> float:
    value = float(token)
    if not math.isfinite(value):
        raise JsonError(f"has the number {token[:30]}, which is too great")
    return value


def _fraction(token: str) -> float:
    value = _finite(token)
    if value.is_integer() and MAX_SAFE < abs(value) < 1e21:
        # Whether a number is whole is a matter of its value, not of how it is spelled.
        raise JsonError(f"has the whole number {token[:30]}, which many readers round")
    return value


def _constant(token: str) -> float:
    raise JsonError(f"has {token}, which is not JSON")
