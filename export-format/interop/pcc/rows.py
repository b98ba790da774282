"""Rows (6): the strict reading of one line, and the writing of one."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from . import jcs
from .names import why_invalid
from .strictjson import JsonError, parse
from .words import MAX_DEPTH, MAX_ROW, MAX_SAFE

WHOLE = re.compile(r"-?[1-9][0-9]*")
DIGEST = re.compile(r"[0-9a-f]{64}")
BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


class RowError(ValueError):
    """Why a line is no row (row.invalid)."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A reference to a file of the same app (6.3)."""

    path: str
    sha256: str
    size: int
    type: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it was read: its object in the archive's spelling, and the files it refers to."""

    members: dict[str, Any]
    blobs: list[Blob]

    @property
    def id(self) -> str | None:
        found = self.members.get("_id")
        return found if isinstance(found, str) else None


def read(line: bytes) -> Row:
    """The row of a line, without its line feed (6.1 to 6.5)."""
    if len(line) > MAX_ROW:
        raise RowError(f"is longer than {MAX_ROW} bytes")
    try:
        value = parse(line)
    except JsonError as error:
        raise RowError(str(error)) from None
    if not isinstance(value, dict):
        raise RowError("is no object")
    if jcs.canonical(value) != line:
        raise RowError("is not in the form of RFC 8785")
    blobs: list[Blob] = []
    if special(value) is not None:
        raise RowError("is a value where an object is due")
    _look(value, blobs)
    return Row(value, blobs)


def special(members: dict[str, Any]) -> str | None:
    """The name of the one member that makes an object stand for something else (6.3)."""
    if len(members) == 1:
        (name,) = members
        if name in ("$int", "$bytes", "$blob"):
            return name
    return None


def _look(value: Any, blobs: list[Blob]) -> None:
    if isinstance(value, list):
        for item in value:
            _look(item, blobs)
    elif isinstance(value, dict):
        match special(value):
            case "$int":
                whole(value["$int"])
            case "$bytes":
                octets(value["$bytes"])
            case "$blob":
                blobs.append(blob(value["$blob"]))
            case _:
                for name, item in value.items():
                    if name.startswith("$") and not name.startswith("$$"):
                        raise RowError(f"has the member {name[:40]!r}, which begins with one $")
                    _look(item, blobs)


def whole(value: Any) -> int:
    """The whole number that `$int` stands for (6.3)."""
    if not isinstance(value, str) or WHOLE.fullmatch(value) is None or len(value) > 22:
        raise RowError("has an $int that is no whole number in decimal")
    number = int(value)
    if not MAX_SAFE < abs(number) < 10**21:
        raise RowError("has an $int that a plain number could be")
    return number


def octets(value: Any) -> bytes:
    """The bytes that `$bytes` stands for (6.3)."""
    if not isinstance(value, str) or BASE64.fullmatch(value) is None:
        raise RowError("has $bytes that are not padded base64")
    content = base64.b64decode(value)
    if base64.b64encode(content).decode("ascii") != value:
        raise RowError("has $bytes whose unused bits are not zero")
    return content


def blob(value: Any) -> Blob:
    """The reference that `$blob` stands for (6.3)."""
    if not isinstance(value, dict) or set(value) != {"path", "sha256", "size", "type"}:
        raise RowError("has a $blob without exactly path, sha256, size and type")
    path, digest, size, kind = value["path"], value["sha256"], value["size"], value["type"]
    if not isinstance(path, str) or why_invalid(path) is not None:
        raise RowError("has a $blob whose path is no path")
    if not isinstance(digest, str) or DIGEST.fullmatch(digest) is None:
        raise RowError("has a $blob whose sha256 is no digest")
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise RowError("has a $blob whose size is no length")
    if not isinstance(kind, str):
        raise RowError("has a $blob whose type is no text")
    return Blob(path, digest, size, kind)


def write(own: dict[str, Any]) -> bytes:
    """One line, with its line feed, for an object in the person's own terms: names that begin with `$` as they are,
    whole numbers of any size, `bytes`, and `Blob`."""
    line = jcs.canonical(escape(own))
    if len(line) > MAX_ROW:
        raise RowError(f"is longer than {MAX_ROW} bytes")
    return line + b"\n"


def escape(value: Any, level: int = 1) -> Any:
    """A person's value in the archive's spelling (6.3 to 6.5)."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        if abs(value) <= MAX_SAFE:
            return value
        return {"$int": str(value)} if abs(value) < 10**21 else float(value)
    if isinstance(value, float):
        if value.is_integer() and MAX_SAFE < abs(value) < 1e21:
            return {"$int": str(int(value))}
        return value
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode("ascii")}
    if isinstance(value, Blob):
        return {"$blob": {"path": value.path, "sha256": value.sha256, "size": value.size, "type": value.type}}
    if level > MAX_DEPTH:
        raise RowError(f"is deeper than {MAX_DEPTH} levels")
    if isinstance(value, list):
        return [escape(item, level + 1) for item in value]
    if isinstance(value, dict):
        return {("$" + name if name.startswith("$") else name): escape(item, level + 1) for name, item in value.items()}
    raise TypeError(f"{type(value).__name__} has no form in a row")


def unescape(value: Any) -> Any:
    """The person's value of what an archive spells; the inverse of `escape` but for whole binary64 numbers."""
    if isinstance(value, list):
        return [unescape(item) for item in value]
    if isinstance(value, dict):
        match special(value):
            case "$int":
                return whole(value["$int"])
            case "$bytes":
                return octets(value["$bytes"])
            case "$blob":
                return blob(value["$blob"])
            case _:
                return {name.removeprefix("$") if name.startswith("$$") else name: unescape(item) for name, item in value.items()}
    return value


class Lines:
    """Cuts content that comes in pieces into lines, holding no more than one line that is short enough."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._too_long = False

    def feed(self, piece: bytes) -> Iterator[bytes | None]:
        """Every line that ends in this piece; None for one that was too long to be a row."""
        start = 0
        while (end := piece.find(b"\n", start)) != -1:
            if self._too_long or len(self._rest) + end - start > MAX_ROW:
                yield None
            else:
                yield bytes(self._rest) + piece[start:end]
            self._rest.clear()
            self._too_long = False
            start = end + 1
        if not self._too_long:
            self._rest += piece[start:]
            if len(self._rest) > MAX_ROW:
                self._rest.clear()
                self._too_long = True

    @property
    def unfinished(self) -> bool:
        """Whether the content ended within a line."""
        return self._too_long or bool(self._rest)
