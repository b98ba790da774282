"""Everything that is wrong with an archive (7.1): all that can be told, not the first.

First the names and the tag files, which are small; then every content once, in pieces. Kept in memory are the list of
entries, the manifest, and of one document at a time its bytes: never a content of any length.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import age, documents, manifest, places, rows, signature
from .archive import Archive, ContentError, Entry, open_archive
from .documents import Facts, Table
from .findings import Findings
from .names import clashes, is_app_id, why_invalid
from .places import DOCUMENTS, ROWS, Holds, Place
from .signature import Key, SignatureError
from .strictjson import JsonError, parse
from .words import (
    DECLARATION,
    DEFAULT_MAX_ENTRIES,
    MANIFEST_BYTES_PER_ENTRY,
    MAX_DOCUMENT,
    MAX_PCC,
    MAX_SMALL_TAG_FILE,
    MAX_START_HERE,
    TAG_FILES,
    VOUCHED_TAG_FILES,
)


JUDGES: dict[Holds, Callable[[Any], str | None]] = {
    Holds.ACCOUNT: documents.why_no_account,
    Holds.SETTINGS: documents.why_no_settings,
    Holds.DOMAINS: documents.why_no_domains,
    Holds.PROVIDER: documents.why_no_provider,
    Holds.PERMISSIONS: documents.why_no_permission,
    Holds.FILES: documents.why_no_file,
    Holds.INVOICES: documents.why_no_invoice,
    Holds.USAGE: documents.why_no_usage,
    Holds.LOG: documents.why_no_event,
}


# 7.3: what an importer will ask the person about, told as soon as there is a line of it.
NOTES = {
    Holds.PERMISSIONS: ("import.grants", "data/permissions.ndjson", "permissions are asked again on import"),
    Holds.SCHEDULES: ("import.schedules", "data/schedules.ndjson", "schedules start paused after an import"),
}


@dataclass(frozen=True, slots=True)
class Options:
    """What a check is told from outside: the key that is trusted, and how much room there is (5.4, 7.1)."""

    trusted: str | None = None
    max_entries: int = DEFAULT_MAX_ENTRIES
    quota: int | None = None


@dataclass
class Report:
    """What a check found out."""

    findings: Findings
    manifest: dict[str, str] = field(default_factory=dict)
    pcc: dict[str, Any] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    signer: Key | None = None

    @property
    def accepted(self) -> bool:
        return self.findings.accepted

    def as_json(self) -> dict[str, Any]:
        """The report as section 13 has it."""
        return {
            "accepted": self.accepted,
            "entries": len(self.entries),
            "bytes": sum(entry.length for entry in self.entries if entry.path.startswith("data/")),
            "signedBy": self.signer.line if self.signer else None,
            "manifest": self.pcc or None,
            "findings": [finding.as_json() for finding in self.findings],
            "refusals": sum(self.findings.counts[code] for code in self.findings.refusals),
            "unlisted": self.findings.unlisted,
        }


def check(path: Path, options: Options = Options()) -> Report:
    """All findings about the archive at a path."""
    findings = Findings()
    try:
        archive = open_archive(path, findings, options.max_entries)
    except OSError as error:
        findings.add("io", "", f"cannot be read: {error.strerror or error}")
        return Report(findings)
    if archive is None:
        return Report(findings)
    try:
        return Check(archive, options, findings).run()
    finally:
        archive.close()


@dataclass
class Segment:
    """What is known of a segment once it has been read: its rows, and the first and the last of them."""

    rows: int = 0
    first: bytes | None = None
    last: bytes | None = None


class Check:
    """One reading of an archive."""

    tag_files: Sequence[str] = TAG_FILES
    vouched: Sequence[str] = VOUCHED_TAG_FILES

    def __init__(self, archive: Archive, options: Options, findings: Findings) -> None:
        self.archive = archive
        self.options = options
        self.findings = findings
        self.by_path: dict[str, Entry] = {}
        self.payload: list[Entry] = []
        self.tags: dict[str, bytes] = {}
        self.manifest: dict[str, str] = {}
        self.facts = Facts()
        self.pcc: dict[str, Any] = {}
        self.signer: Key | None = None
        self.app_folders: dict[str, None] = {}
        self.tables: dict[str, list[Table]] = {}
        self.segments: dict[str, Segment] = {}
        self.listed: set[str] = set()

    def before_content(self) -> None:
        """7.1: what is looked at before any content of the payload."""
        self.names()
        self.room()
        self.read_tags()
        self.bag()
        self.describe()
        self.sign()

    def run(self) -> Report:
        self.before_content()
        for entry in self.payload:
            self.content(entry)
        self.apps()
        self.counts()
        return Report(self.findings, self.manifest, self.pcc, self.archive.entries, self.signer)

    # Names and room

    def names(self) -> None:
        """4, and which entries there are (5.1)."""
        for entry in self.archive.entries:
            path = entry.path
            if (why := why_invalid(path)) is not None:
                self.findings.add("path.invalid", printable(path), why)
            if path == "fetch.txt" and path not in self.tag_files:
                self.findings.add("bag.fetch", path, "names what lies elsewhere; nothing is fetched")
            elif not path.startswith("data/") and path not in self.tag_files:
                self.findings.add("path.unexpected", printable(path), "is neither payload nor a tag file")
            if path in self.by_path:
                continue
            self.by_path[path] = entry
            if path.startswith("data/"):
                self.payload.append(entry)
        for code, path, other in clashes(entry.path for entry in self.archive.entries):
            self.findings.add(code, printable(path), f"is, on some systems, {printable(other)!r}")
        for name in self.tag_files:
            if name not in self.by_path:
                self.findings.add("bag.tag-file-missing", name, "is not there")
        for entry in self.payload:
            names = entry.path.split("/")
            if len(names) > 3 and names[1] == "apps":
                self.app_folders[names[2]] = None

    def room(self) -> None:
        """7.1: what is declared, against the room there is; reading on never exceeds what is declared."""
        total = sum(entry.length for entry in self.payload)
        if self.options.quota is not None and total > self.options.quota:
            self.findings.add("limit.quota", "", f"holds {total} bytes; there is room for {self.options.quota}")

    # Tag files

    def read_tags(self) -> None:
        """Every tag file that is no longer than it may be (5.5, 5.10)."""
        for name in self.tag_files:
            self.read_tag(name)

    def read_tag(self, name: str) -> None:
        entry = self.by_path.get(name)
        if entry is None:
            return
        if entry.length > self.longest(name):
            self.findings.add("bag.tag-file-too-long", name, f"has more than {self.longest(name)} bytes")
            return
        content = self.whole(entry)
        if content is not None:
            self.tags[name] = content

    def longest(self, name: str) -> int:
        match name:
            case "pcc.json":
                return MAX_PCC
            case "START-HERE.html":
                return MAX_START_HERE
            case "manifest-sha256.txt":
                return MANIFEST_BYTES_PER_ENTRY * len(self.archive.entries)
            case _:
                return MAX_SMALL_TAG_FILE

    def whole(self, entry: Entry) -> bytes | None:
        """The content of a small entry, or None when it is not what its headers say."""
        pieces: list[bytes] = []
        try:
            for piece in self.archive.pieces(entry):
                pieces.append(piece)
        except ContentError as error:
            self.findings.add(error.code, printable(entry.path), str(error))
            if error.code != "entry.crc":
                return None
        except OSError as error:
            self.findings.add("io", printable(entry.path), f"cannot be read: {error.strerror or error}")
            return None
        return b"".join(pieces)

    def bag(self) -> None:
        """5.2 and 5.3, but for the payload's content."""
        found = self.tags.get("bagit.txt")
        if found is not None and found != DECLARATION:
            self.findings.add("bag.declaration", "bagit.txt", "is not the declaration of BagIt 1.0 in UTF-8")
        profile = self.tags.get("bagit-profile.json")
        if profile is not None:
            try:
                if not isinstance(parse(profile), dict):
                    self.findings.add("bag.profile", "bagit-profile.json", "is no object")
            except JsonError as error:
                self.findings.add("bag.profile", "bagit-profile.json", str(error))
        self.tag_manifest()
        self.payload_manifest()

    def payload_manifest(self) -> None:
        """`manifest-sha256.txt` lists the payload, all of it and nothing else."""
        found = self.tags.get("manifest-sha256.txt")
        if found is None:
            return
        self.manifest = manifest.read("manifest-sha256.txt", found, self.findings)
        for entry in self.payload:
            if entry.path not in self.manifest and why_invalid(entry.path) is None:
                self.findings.add("bag.unlisted", printable(entry.path), "is not in the manifest")
        for path in self.manifest:
            if path not in self.by_path or not path.startswith("data/"):
                self.findings.add("bag.missing", path, "is in the manifest and not in the payload")

    def tag_manifest(self) -> None:
        found = self.tags.get("tagmanifest-sha256.txt")
        if found is None:
            return
        digests = manifest.read("tagmanifest-sha256.txt", found, self.findings)
        for name in self.vouched:
            if name not in digests:
                self.findings.add("bag.tag-unlisted", name, "is not in the tag manifest")
            elif name in self.tags and hashlib.sha256(self.tags[name]).hexdigest() != digests[name]:
                self.findings.add("bag.tag-digest", name, "does not have the digest that the tag manifest says")
        for path in digests:
            if path not in self.vouched:
                self.findings.add("bag.tag-unlisted", path, "is in the tag manifest and should not be")
        if "bag.manifest-order" in self.findings.counts:
            self.findings.add("bag.tag-unlisted", "tagmanifest-sha256.txt", "does not list the tag files in order")

    def describe(self) -> None:
        """`pcc.json`, and what `bag-info.txt` repeats of it (5.2, 5.5)."""
        total = sum(entry.length for entry in self.payload)
        if (content := self.tags.get("pcc.json")) is not None:
            try:
                value = parse(content)
            except JsonError as error:
                self.findings.add("pcc.unreadable", "pcc.json", str(error))
            else:
                self.facts = documents.pcc(value, self.findings)
                self.pcc = value if isinstance(value, dict) else {}
        if self.facts.bytes is not None and self.facts.bytes != total:
            self.findings.add("pcc.bytes", "pcc.json", f"says {self.facts.bytes} bytes; the payload has {total}")
        if (content := self.tags.get("bag-info.txt")) is not None:
            info = manifest.read_info(content, self.findings)
            oxum = info.one("Payload-Oxum")
            if oxum and manifest.oxum(oxum) != (total, len(self.payload)):
                self.findings.add("bag.oxum", "bag-info.txt", f"should say {total}.{len(self.payload)}")
            identifier = info.one("External-Identifier")
            if identifier and self.facts.did is not None and identifier != self.facts.did:
                self.findings.add("bag.info", "bag-info.txt", "has another External-Identifier than pcc.json")
        self.sealed()

    def sealed(self) -> None:
        """Sealed files are exactly those that `pcc.json` lists (5.8)."""
        if not self.facts.judged:
            return
        there = [entry.path for entry in self.payload if places.place(entry.path).holds is Holds.SEALED]
        if sorted(self.facts.sealed) != sorted(there):
            self.findings.add("pcc.secrets", "pcc.json", "does not list exactly the sealed files")

    def sign(self) -> None:
        """5.4: a signature vouches for an archive only with a key that is trusted from elsewhere."""
        content = self.tags.get("tagmanifest-sha256.txt")
        armoured = self.tags.get("tagmanifest-sha256.txt.sig")
        if content is None or armoured is None:
            return
        file = "tagmanifest-sha256.txt.sig"
        try:
            self.signer = signature.verify(content, armoured)
        except SignatureError as error:
            self.findings.add("signature.wrong", file, str(error))
            return
        self.trust(self.signer)

    def trust(self, signer: Key) -> None:
        file = "tagmanifest-sha256.txt.sig"
        if self.options.trusted is None:
            self.findings.add("signature.unchecked", file, f"is by {signer.fingerprint}; no key is trusted yet")
        elif not signer.is_named(self.options.trusted):
            self.findings.add("signature.untrusted", file, f"is by {signer.fingerprint}, not by the trusted key")

    # Content

    def content(self, entry: Entry) -> None:
        """Reads one payload entry once: its digest, and what its place asks of it."""
        place = places.place(entry.path)
        path = printable(entry.path)
        digest = hashlib.sha256()
        take = self.taker(entry, place, path)
        try:
            for piece in self.archive.pieces(entry):
                digest.update(piece)
                take.feed(piece)
        except ContentError as error:
            self.findings.add(error.code, path, str(error))
            if error.code != "entry.crc":
                return
        except OSError as error:
            self.findings.add("io", path, f"cannot be read: {error.strerror or error}")
            return
        take.done()
        expected = self.manifest.get(entry.path)
        if expected is not None and expected != digest.hexdigest():
            self.findings.add("bag.digest", path, "does not have the digest that the manifest says")

    def taker(self, entry: Entry, place: Place, path: str) -> Taker:
        if place.holds in DOCUMENTS or place.holds in ROWS:
            if entry.length > MAX_DOCUMENT:
                self.findings.add("limit.document", path, f"is longer than {MAX_DOCUMENT} bytes")
                return Taker()
            return TakeDocument(self, place, path) if place.holds in DOCUMENTS else TakeRows(self, place, path)
        if place.holds is Holds.SEALED:
            return TakeSealed(self, path)
        return Taker()

    def document(self, place: Place, path: str, content: bytes) -> None:
        try:
            value = parse(content)
        except JsonError as error:
            self.findings.add("doc.json", path, str(error))
            return
        why: str | None = None
        if place.holds is Holds.APP:
            tables, why = documents.app(value, place.app)
            if why is None:
                self.tables[place.app] = tables
        elif (judge := JUDGES.get(place.holds)) is not None:
            why = judge(value)
        if why is not None:
            self.findings.add("doc.invalid", path, why)
        if place.holds is Holds.DOMAINS:
            self.findings.add("import.domains", path, "addresses must be proved again after an import")

    def row(self, place: Place, path: str, number: int, line: bytes | None) -> None:
        if number == 1 and place.holds in NOTES:
            self.findings.add(*NOTES[place.holds])
        if line is None:
            self.findings.add("row.invalid", path, f"line {number} is too long")
            return
        try:
            row = rows.read(line)
        except rows.RowError as error:
            self.findings.add("row.invalid", path, f"line {number} {error}")
            return
        if place.holds is Holds.INVOICES:
            self.bill(place, path, number, row.members.get("text"))
        if (judge := JUDGES.get(place.holds)) is not None and (why := judge(row.members)) is not None:
            self.findings.add("row.invalid", path, f"line {number} {why}")
            return
        match place.holds:
            case Holds.FILES:
                self.listed_file(place, path, number, row.members)
            case Holds.SEGMENT:
                self.table_row(place, path, number, row)
            case _:
                pass

    def bill(self, place: Place, path: str, number: int, text: Any) -> None:
        """The readable bill that a row of `invoices.ndjson` names (12.3)."""
        if isinstance(text, str) and place.folder + text not in self.by_path:
            self.findings.add("row.blob", path, f"line {number} refers to {text!r}, which is not there")

    def listed_file(self, place: Place, path: str, number: int, members: dict[str, Any]) -> None:
        """A row of `files*.ndjson` against the entry that it lists (5.6)."""
        full = place.folder + members["path"]
        entry = self.by_path.get(full)
        if entry is None or places.place(full).holds is not Holds.FILE:
            self.findings.add("doc.files", path, f"line {number} lists {members['path']!r}, which is not there")
            return
        if full in self.listed:
            self.findings.add("doc.files", path, f"line {number} lists {members['path']!r} once more")
        elif members["size"] != entry.length or not self.has(full, members["sha256"]):
            self.findings.add("doc.files", path, f"line {number} lists {members['path']!r} with other content")
        self.listed.add(full)

    def has(self, path: str, digest: str) -> bool:
        """Whether an entry has a digest, as far as the manifest knows; the content itself is compared with that."""
        return self.manifest.get(path, digest) == digest

    def table_row(self, place: Place, path: str, number: int, row: rows.Row) -> None:
        """6.6: every row has an `_id`, and they ascend; and 6.3: what it refers to should be there."""
        for blob in row.blobs:
            entry = self.by_path.get(place.folder + blob.path)
            if entry is None or entry.length != blob.size or not self.has(place.folder + blob.path, blob.sha256):
                self.findings.add("row.blob", path, f"line {number} refers to {blob.path!r}, which is not there")
        if row.id is None:
            self.findings.add("row.invalid", path, f"line {number} has no text _id")
            return
        segment = self.segments[path]
        key = row.id.encode("utf-8")
        if segment.last is not None and key <= segment.last:
            self.findings.add("row.order", path, f"line {number} does not come after the row before it")
        if segment.first is None:
            segment.first = key
        segment.last = key

    # The whole

    def apps(self) -> None:
        """What `app.json` and `files*.ndjson` say, against what is there (5.6)."""
        there: defaultdict[str, list[str]] = defaultdict(list)
        for entry in self.payload:
            place = places.place(entry.path)
            if place.holds is Holds.SEGMENT:
                there[place.app].append(place.inner)
            elif place.holds is Holds.FILE and entry.path not in self.listed:
                self.findings.add("doc.files", printable(entry.path), "is in no files.ndjson")
        for app in self.app_folders:
            path = f"data/apps/{app}/app.json"
            if not is_app_id(app):
                self.findings.add("doc.invalid", printable(path), "lies in a folder whose name is no app's id")
            if path not in self.by_path:
                self.findings.add("doc.invalid", printable(path), "is not there")
            elif app in self.tables:
                self.app_tables(f"data/apps/{app}/", self.tables[app], there[app])

    def app_tables(self, folder: str, tables: list[Table], there: list[str]) -> None:
        """The tables of one app: exactly the segments that are there, with as many rows, in order (5.6, 6.6)."""
        path = folder + "app.json"
        listed = [segment for table in tables for segment in table.segments]
        if sorted(listed) != sorted(there):
            self.findings.add("doc.segments", path, "does not list exactly the segments that are there")
        if len({table.name for table in tables}) != len(tables):
            self.findings.add("doc.segments", path, "lists a table twice")
        for table in tables:
            if table.schema is not None and folder + table.schema not in self.by_path:
                self.findings.add("doc.segments", path, f"has a schema for {table.name!r} that is not there")
            count = 0
            last: bytes | None = None
            for name in table.segments:
                segment = self.segments.get(folder + name, Segment())
                count += segment.rows
                if last is not None and segment.first is not None and segment.first <= last:
                    self.findings.add("row.order", folder + name, "does not come after the segment before it")
                last = last if segment.last is None else segment.last
            if table.count != count:
                self.findings.add("doc.segments", path, f"says {table.count} rows of {table.name!r}; there are {count}")

    def counts(self) -> None:
        """`pcc.json`'s other counts, which may be wrong (5.5)."""
        there = {
            "apps": len(self.app_folders),
            "tables": sum(len(tables) for tables in self.tables.values()),
            "documents": sum(segment.rows for segment in self.segments.values()),
            "files": sum(places.place(entry.path).holds is Holds.FILE for entry in self.payload),
        }
        for name, said in self.facts.counts.items():
            if said != there[name]:
                self.findings.add("pcc.counts", "pcc.json", f"says {said} {name}; there are {there[name]}")


class Taker:
    """Takes content in pieces and keeps nothing of it: what has no form."""

    def feed(self, piece: bytes) -> None:
        pass

    def done(self) -> None:
        pass


class TakeDocument(Taker):
    """Takes a JSON document, whose length has been looked at."""

    def __init__(self, check: Check, place: Place, path: str) -> None:
        self._check, self._place, self._path = check, place, path
        self._pieces: list[bytes] = []

    def feed(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def done(self) -> None:
        self._check.document(self._place, self._path, b"".join(self._pieces))


class TakeRows(Taker):
    """Takes a document of rows, a row at a time."""

    def __init__(self, check: Check, place: Place, path: str) -> None:
        self._check, self._place, self._path = check, place, path
        self._lines = rows.Lines()
        self._number = 0
        if place.holds is Holds.SEGMENT:
            check.segments[path] = Segment()

    def feed(self, piece: bytes) -> None:
        for line in self._lines.feed(piece):
            self._number += 1
            self._check.row(self._place, self._path, self._number, line)

    def done(self) -> None:
        if self._lines.unfinished:
            # What has no end is no line, whatever it is; so an empty one stands for it.
            self._number += 1
            self._check.row(self._place, self._path, self._number, b"")
        if self._place.holds is Holds.SEGMENT:
            self._check.segments[self._path].rows = self._number
            if self._number == 0:
                self._check.findings.add("doc.segments", self._path, "is a segment of no rows")


class TakeSealed(Taker):
    """Takes an age file, of which only the beginning can be judged without the key."""

    def __init__(self, check: Check, path: str) -> None:
        self._check, self._path = check, path
        self._beginning = b""

    def feed(self, piece: bytes) -> None:
        if len(self._beginning) < len(age.FIRST_LINE):
            self._beginning += piece[: len(age.FIRST_LINE)]

    def done(self) -> None:
        if not age.is_sealed(self._beginning):
            self._check.findings.add("pcc.secrets", self._path, "is no age file")


def printable(path: str) -> str:
    """A path as it can be printed anywhere."""
    return os.fsencode(path).decode("utf-8", "replace") if any(0xD800 <= ord(c) < 0xE000 for c in path) else path
