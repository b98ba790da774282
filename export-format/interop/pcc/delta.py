"""A delta by itself (10.1 to 10.5): what it builds on, what comes of it, and what it takes from its base.

Its payload is not read here, nor are those of its own files judged that are as in the full archive. All that is judged in
the full archive that comes of the delta (10.9), so nothing that stands in a delta has to be believed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from . import documents, manifest
from .archive import Archive
from .check import Check, Options, printable
from .documents import ARCHIVE_ID, Judge, is_count, is_digest, is_kind
from .findings import Findings
from .names import why_invalid
from .signature import Key
from .strictjson import JsonError, parse
from .words import DELTA_TAG_FILES, DELTA_VOUCHED, FETCH_BYTES_PER_ENTRY, MANIFEST_BYTES_PER_ENTRY

LINE = re.compile(rb"([^ ]*) (0|[1-9][0-9]*) (.+)", re.DOTALL)
MAX_LENGTH = 2**64 - 1

# 10.3: where `pcc.json` of a delta says otherwise than that of the full archive.
OWN_MEMBERS = ("kind", "base", "full")


@dataclass(frozen=True, slots=True)
class Base:
    """The archive that a delta builds on, as it names it."""

    archive_id: str
    manifest: str


@dataclass(frozen=True, slots=True)
class Promise:
    """What comes of a delta: the length of the archive, its entries, and the digest of its directory and end."""

    bytes: int
    entries: int
    directory: str


class DeltaCheck(Check):
    """One reading of a delta, before its base is looked at."""

    tag_files = DELTA_TAG_FILES
    vouched = DELTA_VOUCHED

    def __init__(self, archive: Archive, options: Options, findings: Findings) -> None:
        super().__init__(archive, options, findings)
        self.base: Base | None = None
        self.promise: Promise | None = None
        self.complete = False
        self.taken: dict[str, int] = {}

    def judge(self) -> None:
        """Everything that can be told of it; of an archive that is no delta only that."""
        self.by_path.update((entry.path, entry) for entry in reversed(self.archive.entries))
        self.read_tag("pcc.json")
        self.describe()
        if self.complete:
            return
        self.names()
        for name in self.tag_files:
            if name != "pcc.json":
                self.read_tag(name)
        self.says_the_same()
        self.read_fetch()
        self.tag_manifest()
        self.payload_manifest()
        self.sign()

    def names(self) -> None:
        self.by_path.clear()
        super().names()

    def longest(self, name: str) -> int:
        entries = self.options.max_entries
        if self.promise is not None:
            entries = min(entries, self.promise.entries)
        match name:
            case "manifest-sha256.txt":
                return MANIFEST_BYTES_PER_ENTRY * entries
            case "fetch.txt":
                return FETCH_BYTES_PER_ENTRY * entries
            case "full/pcc.json" | "full/START-HERE.html":
                return super().longest(name.removeprefix("full/"))
            case _:
                return super().longest(name)

    def describe(self) -> None:
        """`pcc.json`, with `base` and `full` (10.3). What counts the payload is judged in the full archive."""
        content = self.tags.get("pcc.json")
        if content is None:
            return
        try:
            value = parse(content)
        except JsonError as error:
            self.findings.add("pcc.unreadable", "pcc.json", str(error))
            return
        self.facts = documents.pcc(value, self.findings, self.kind)
        self.pcc = value if isinstance(value, dict) else {}

    def kind(self, value: dict[str, Any], judge: Judge, findings: Findings) -> None:
        judge.text("kind", value.get("kind"), is_kind)
        if value.get("kind") == "full":
            self.complete = True
            findings.add("delta.full", "pcc.json", "is of an archive that is complete by itself")
            return
        base = value.get("base")
        if not isinstance(base, dict) or not is_archive_id(base.get("archiveId")) or not is_digest(base.get("manifest")):
            findings.add("delta.pcc", "pcc.json", "does not say on which archive the delta builds")
        else:
            self.base = Base(base["archiveId"], base["manifest"])
        full = value.get("full")
        if (
            not isinstance(full, dict)
            or not is_count(full.get("bytes"))
            or not is_count(full.get("entries"))
            or not is_digest(full.get("directory"))
        ):
            findings.add("delta.pcc", "pcc.json", "does not say what comes of the delta")
            return
        self.promise = Promise(full["bytes"], full["entries"], full["directory"])
        if self.promise.entries > self.options.max_entries:
            findings.add("limit.entries", "pcc.json", f"promises more than {self.options.max_entries} entries")

    def says_the_same(self) -> None:
        """All other members are those of the full archive, each with an equal value (10.3)."""
        content = self.tags.get("full/pcc.json")
        if content is None:
            return
        try:
            full = parse(content)
        except JsonError as error:
            self.findings.add("pcc.unreadable", "full/pcc.json", str(error))
            return
        if not isinstance(full, dict):
            self.findings.add("pcc.unreadable", "full/pcc.json", "is no object")
            return
        if self.facts.judged and not equal(without_own(self.pcc), without_own(full)):
            self.findings.add("delta.pcc", "pcc.json", "says otherwise than full/pcc.json")

    def read_fetch(self) -> None:
        """`fetch.txt` (10.4): of each file that is taken from the base, its length."""
        content = self.tags.get("fetch.txt")
        if content is None:
            return
        before = b""
        lines = content.split(b"\n")
        if lines.pop() != b"":
            self.findings.add("delta.fetch", "fetch.txt", "the last line has no end")
        for number, line in enumerate(lines, 1):
            found = LINE.fullmatch(line)
            path = manifest.decode(found.group(3)) if found else None
            if found is None or len(found.group(2)) > 20 or int(found.group(2)) > MAX_LENGTH:
                self.findings.add("delta.fetch", "fetch.txt", f"line {number} is not an id, a length and a path")
                continue
            if path is None or why_invalid(path) is not None or not path.startswith("data/"):
                self.findings.add("delta.fetch", "fetch.txt", f"line {number} has a path that is none of a payload")
                continue
            if self.base is not None and found.group(1) != self.base.archive_id.encode("ascii"):
                self.findings.add("delta.elsewhere", "fetch.txt", f"line {number} wants a file from elsewhere")
            if found.group(3) <= before:
                self.findings.add("delta.fetch", "fetch.txt", f"line {number} is not sorted by its path, or there twice")
            before = found.group(3)
            self.taken.setdefault(path, int(found.group(2)))

    def payload_manifest(self) -> None:
        """Each file is carried or taken, not both, and nothing else is (10.5)."""
        found = self.tags.get("manifest-sha256.txt")
        if found is None:
            return
        self.manifest = manifest.read("manifest-sha256.txt", found, self.findings)
        carried = {entry.path for entry in self.payload}
        for path in sorted((carried | self.taken.keys()) - self.manifest.keys()):
            if why_invalid(path) is None:
                self.findings.add("bag.unlisted", printable(path), "is not in the manifest")
        for path in sorted(carried & self.taken.keys()):
            self.findings.add("delta.twice", printable(path), "is carried and in fetch.txt")
        if "fetch.txt" in self.tags:
            for path in self.manifest:
                if path not in carried and path not in self.taken:
                    self.findings.add("bag.missing", path, "is neither carried nor taken from the base")

    def trust(self, signer: Key) -> None:
        """10.9: the delta itself may be signed by anyone."""


def is_archive_id(value: Any) -> bool:
    return isinstance(value, str) and ARCHIVE_ID.fullmatch(value) is not None


def without_own(pcc: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in pcc.items() if name not in OWN_MEMBERS}


def equal(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal: numbers by what they are, not as they are spelled; `true` is no number."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(value, right[name]) for name, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)
