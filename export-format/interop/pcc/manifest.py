"""The tag files that are lines of text: manifests (5.3), the declaration and `bag-info.txt` (5.2)."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from dataclasses import dataclass

from .findings import Findings
from .names import WHITE_SPACE, why_invalid

LINE = re.compile(rb"([0-9a-f]{64})  (.+)", re.DOTALL)
INFO = re.compile(r"([A-Za-z0-9-]+): ([^\x00-\x1f\x7f-\x9f]+)")
OXUM = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

REQUIRED_INFO = (
    "Bagging-Date",
    "External-Identifier",
    "Source-Organization",
    "BagIt-Profile-Identifier",
    "Payload-Oxum",
)


def write(digests: dict[str, str]) -> bytes:
    """A manifest: a line for each path, sorted by the bytes of the paths."""
    paths = sorted(digests, key=lambda path: path.encode("utf-8"))
    return b"".join(f"{digests[path]}  {path}\n".encode("utf-8") for path in paths)


def read(file: str, content: bytes, findings: Findings) -> dict[str, str]:
    """The digests that a manifest says, by path; what is wrong with its lines goes into the findings."""
    digests: dict[str, str] = {}
    before = b""
    lines = content.split(b"\n")
    if lines.pop() != b"":
        findings.add("bag.manifest-line", file, "the last line has no end")
    for number, line in enumerate(lines, 1):
        found = LINE.fullmatch(line)
        path = decode(found.group(2)) if found else None
        if found is None or path is None or why_invalid(path) is not None:
            findings.add("bag.manifest-line", file, f"line {number} is not a digest, two spaces and a path")
            continue
        if found.group(2) <= before:
            findings.add("bag.manifest-order", file, f"line {number} is not sorted by its path, or is there twice")
        before = found.group(2)
        digests.setdefault(path, found.group(1).decode("ascii"))
    return digests


def decode(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


@dataclass(frozen=True, slots=True)
class Info:
    """What `bag-info.txt` says, as labels and values in order."""

    fields: list[tuple[str, str]]

    def all(self, label: str) -> list[str]:
        return [value for name, value in self.fields if name.lower() == label.lower()]

    def one(self, label: str) -> str | None:
        values = self.all(label)
        return values[0] if len(values) == 1 else None


def read_info(content: bytes, findings: Findings) -> Info:
    """The fields of `bag-info.txt`, of which the five required ones stand there once each (5.2)."""
    file = "bag-info.txt"
    fields: list[tuple[str, str]] = []
    text = decode(content)
    if text is None:
        findings.add("bag.info", file, "is not UTF-8")
        return Info(fields)
    lines = text.split("\n")
    if lines.pop() != "":
        findings.add("bag.info", file, "the last line has no end")
    for number, line in enumerate(lines, 1):
        found = INFO.fullmatch(line)
        if found is None or found.group(2)[0] in WHITE_SPACE or found.group(2)[-1] in WHITE_SPACE:
            findings.add("bag.info", file, f"line {number} is not a label, a colon, a space and a value")
            continue
        fields.append((found.group(1), found.group(2)))
    info = Info(fields)
    for label in REQUIRED_INFO:
        values = info.all(label)
        if len(values) != 1:
            findings.add("bag.info", file, f"has {label} {len(values)} times, not once with a value")
    date = info.one("Bagging-Date")
    if date and not is_date(date):
        findings.add("bag.info", file, f"has the Bagging-Date {date[:40]!r}, which is no date")
    return info


def is_date(text: str) -> bool:
    if DATE.fullmatch(text) is None:
        return False
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def oxum(text: str) -> tuple[int, int] | None:
    """The octets and the streams that a Payload-Oxum says."""
    found = OXUM.fullmatch(text)
    if found is None or len(text) > 60:
        return None
    return int(found.group(1)), int(found.group(2))


def write_info(fields: Iterable[tuple[str, str]]) -> bytes:
    """`bag-info.txt` of these fields, one line each."""
    return "".join(f"{label}: {value}\n" for label, value in fields).encode("utf-8")
