"""Writing an archive: the tag files from what they vouch for, then the one ZIP of it all (3, 5).

The payload is read twice, once for its digests and once for the archive, so that nothing but one document at a time
is held in memory. A content that changes in between is an error, and the unfinished archive goes away.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import uuid
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import manifest, places, profile, signature
from .names import clashes, is_app_id, why_invalid
from .places import DOCUMENTS, ROWS, Holds
from .profile import Member
from .words import CHUNK, DECLARATION, MAX_DOCUMENT, MAX_RATIO, TAG_FILES, VOUCHED_TAG_FILES

PROFILE_ID = "https://pcc.example/spec/v1/bagit-profile.json"
PROFILE: dict[str, Any] = {
    "BagIt-Profile-Info": {
        "BagIt-Profile-Identifier": PROFILE_ID,
        "BagIt-Profile-Version": "1.3.0",
        "Source-Organization": "pcc.example",
        "External-Description": "Personal server archive v1",
        "Version": "1.0",
    },
    "Bag-Info": {label: {"required": True} for label in manifest.REQUIRED_INFO},
    "Manifests-Required": ["sha256"],
    "Manifests-Allowed": ["sha256", "sha512"],
    "Tag-Manifests-Required": ["sha256"],
    "Tag-Files-Required": ["pcc.json"],
    "Tag-Files-Allowed": ["*"],
    "Allow-Fetch.txt": True,
    "Serialization": "optional",
    "Accept-Serialization": ["application/zip"],
    "Accept-BagIt-Version": ["1.0"],
}
START_HERE = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Your personal server archive</title>
<h1>Your personal server archive</h1>
<p>Everything of your server is in the folder <a href="data/">data</a>. Your apps, with their files and tables, are in
<a href="data/apps/">data/apps</a>. What is not inside, and why, is written in <a href="pcc.json">pcc.json</a>.</p>
</html>
"""


class WriteError(Exception):
    """Why there cannot be an archive of this."""


@dataclass(frozen=True, slots=True)
class Content:
    """A payload entry to be: its path from `data/`, and how to read it, as often as needed."""

    path: str
    open: Callable[[], Iterator[bytes]]


@dataclass
class About:
    """What an archive says of itself, but for what follows from its payload (5.5)."""

    did: str
    domain: str
    provider: str
    origin: str
    software: str
    at: str
    seq: int
    archive_id: str
    omitted: list[dict[str, str]]
    more: dict[str, Any]
    more_of_subject: dict[str, Any]

    @staticmethod
    def like(pcc: dict[str, Any], now: datetime.datetime, archive_id: uuid.UUID) -> About:
        """As in another archive's `pcc.json`, whose unknown members are kept (5.1), those of the subject too; the id is new."""
        source, snapshot, subject = pcc["source"], pcc["snapshot"], pcc["subject"]
        known = set(MEMBERS) - {"redirects"}
        return About(
            did=subject["did"],
            domain=subject["domain"],
            provider=source["provider"],
            origin=source["origin"],
            software=source["software"],
            at=snapshot.get("at") or now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            seq=snapshot["seq"],
            archive_id=f"urn:uuid:{archive_id}",
            omitted=pcc.get("omitted", []),
            more={name: value for name, value in pcc.items() if name not in known},
            more_of_subject={name: value for name, value in subject.items() if name not in ("did", "domain")},
        )


MEMBERS = (
    "format",
    "version",
    "minReader",
    "archiveId",
    "kind",
    "subject",
    "snapshot",
    "base",
    "source",
    "counts",
    "secrets",
    "omitted",
    "redirects",
)


@dataclass(slots=True)
class Planned:
    """A payload entry that has been read once."""

    content: Content
    digest: str
    length: int


def text(content: bytes) -> Callable[[], Iterator[bytes]]:
    """A way to read bytes that are at hand."""
    return lambda: iter([content])


def file(path: Path) -> Callable[[], Iterator[bytes]]:
    """A way to read a file."""

    def pieces() -> Iterator[bytes]:
        with path.open("rb") as opened:
            while piece := opened.read(CHUNK):
                yield piece

    return pieces


def create(out: Path, contents: list[Content], about: About, key: Path, day: str, deflate: bool = True) -> None:
    """Writes the archive of these contents, signed with a private key, to a file that is not there yet."""
    planned = [plan(content) for content in sorted(contents, key=lambda content: content.path.encode("utf-8"))]
    refuse_names(planned)
    tags = tag_files(planned, about, key, day)
    unfinished = out.with_name(out.name + ".unfinished")
    with unfinished.open("xb") as opened:
        try:
            write_zip(opened.write, tags, planned, deflate)
            opened.flush()
            os.fsync(opened.fileno())
            os.link(unfinished, out)
        finally:
            unfinished.unlink()


def plan(content: Content) -> Planned:
    digest = hashlib.sha256()
    length = 0
    for piece in content.open():
        digest.update(piece)
        length += len(piece)
    return Planned(content, digest.hexdigest(), length)


def refuse_names(planned: list[Planned]) -> None:
    """No archive is written that 4 would refuse."""
    for entry in planned:
        why = why_invalid(entry.content.path)
        if why is not None or not entry.content.path.startswith("data/"):
            raise WriteError(f"{entry.content.path!r} {why or 'is not beneath data/'}")
        names = entry.content.path.split("/")
        if names[1] == "apps" and len(names) > 3 and not is_app_id(names[2]):
            raise WriteError(f"{names[2]!r} is no app's id")
    for _, path, other in clashes([*TAG_FILES, *(entry.content.path for entry in planned)]):
        raise WriteError(f"{path!r} and {other!r} are one name on some systems")


def tag_files(planned: list[Planned], about: About, key: Path, day: str) -> dict[str, bytes]:
    """The eight tag files (5.2 to 5.5, 5.9)."""
    total = sum(entry.length for entry in planned)
    tags = {
        "bagit.txt": DECLARATION,
        "bag-info.txt": manifest.write_info(
            [
                ("BagIt-Profile-Identifier", PROFILE_ID),
                ("Bagging-Date", day),
                ("External-Identifier", about.did),
                ("Payload-Oxum", f"{total}.{len(planned)}"),
                ("Source-Organization", about.provider),
            ]
        ),
        "pcc.json": pretty(pcc(planned, about, total)),
        "bagit-profile.json": pretty(PROFILE),
        "START-HERE.html": START_HERE,
        "manifest-sha256.txt": manifest.write({entry.content.path: entry.digest for entry in planned}),
    }
    vouched = {name: hashlib.sha256(tags[name]).hexdigest() for name in VOUCHED_TAG_FILES}
    tags["tagmanifest-sha256.txt"] = manifest.write(vouched)
    tags["tagmanifest-sha256.txt.sig"] = signature.sign(tags["tagmanifest-sha256.txt"], key)
    return tags


def pcc(planned: list[Planned], about: About, total: int) -> dict[str, Any]:
    """`pcc.json` (5.5)."""
    apps: set[str] = set()
    tables = documents = files = 0
    sealed: list[str] = []
    for entry in planned:
        place = places.place(entry.content.path)
        if place.app:
            apps.add(place.app)
        match place.holds:
            case Holds.APP:
                listed = json.loads(b"".join(entry.content.open())).get("tables", [])
                tables += len(listed)
                documents += sum(table["count"] for table in listed)
            case Holds.FILE:
                files += 1
            case Holds.SEALED:
                sealed.append(entry.content.path)
            case _:
                pass
    own: dict[str, Any] = {
        "format": "pcc-archive",
        "version": "1.0",
        "minReader": "1.0",
        "archiveId": about.archive_id,
        "kind": "full",
        "subject": {"did": about.did, "domain": about.domain} | about.more_of_subject,
        "snapshot": {"at": about.at, "seq": about.seq, "consistency": "point-in-time"},
        "base": None,
        "source": {"provider": about.provider, "origin": about.origin, "software": about.software},
        "counts": {"apps": len(apps), "tables": tables, "documents": documents, "files": files, "bytes": total},
        "secrets": {"scheme": "age", "files": sealed, "unlock": ["recipient"]} if sealed else None,
        "omitted": about.omitted,
    }
    return own | about.more


def pretty(value: Any) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8") + b"\n"


def write_zip(
    write: Callable[[bytes], object], tags: dict[str, bytes], planned: list[Planned], deflate: bool
) -> None:
    """The one ZIP of these entries, front to back."""
    directory: list[Member] = []
    at = 0

    def put(piece: bytes) -> None:
        nonlocal at
        write(piece)
        at += len(piece)

    for name in TAG_FILES:
        content = tags[name]
        member = Member(name.encode(), profile.STORED, zlib.crc32(content), len(content), len(content), at)
        directory.append(member)
        put(profile.local_header(member))
        put(content)
    for entry in planned:
        name = entry.content.path.encode("utf-8")
        holds = places.place(entry.content.path).holds
        packed = pack(entry) if deflate and (holds in DOCUMENTS or holds in ROWS) else None
        if packed is not None:
            raw, crc = packed
            member = Member(name, profile.DEFLATED, crc, entry.length, len(raw), at)
            put(profile.local_header(member))
            put(raw)
        else:
            member = Member(name, profile.STORED, checksum(entry), entry.length, entry.length, at)
            put(profile.local_header(member))
            for piece in entry.content.open():
                put(piece)
        if at != member.end:
            raise WriteError(f"{entry.content.path!r} changed while it was written")
        directory.append(member)
    place = at
    for member in directory:
        put(profile.central_header(member))
    put(profile.end_records(len(directory), place, at - place))


def pack(entry: Planned) -> tuple[bytes, int] | None:
    """The deflated bytes and the CRC-32 of a document; None where it is to be stored (3.3)."""
    if entry.length > MAX_DOCUMENT:
        return None
    content = b"".join(entry.content.open())
    if hashlib.sha256(content).hexdigest() != entry.digest:
        raise WriteError(f"{entry.content.path!r} changed while it was written")
    deflater = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    raw = deflater.compress(content) + deflater.flush()
    if not len(raw) < len(content) <= MAX_RATIO * len(raw):
        return None
    return raw, zlib.crc32(content)


def checksum(entry: Planned) -> int:
    crc = length = 0
    digest = hashlib.sha256()
    for piece in entry.content.open():
        crc = zlib.crc32(piece, crc)
        digest.update(piece)
        length += len(piece)
    if (length, digest.hexdigest()) != (entry.length, entry.digest):
        raise WriteError(f"{entry.content.path!r} changed while it was written")
    return crc


def from_folder(folder: Path) -> list[Content]:
    """The payload of an unpacked archive: all plain files beneath its `data`. Links are an error, not followed."""
    contents: list[Content] = []
    for at, folders, files in os.walk(folder / "data", followlinks=False):
        for name in [*folders, *files]:
            full = Path(at, name)
            if full.is_symlink() or not (full.is_file() or full.is_dir()):
                raise WriteError(f"{full} is a link, a device or the like")
        for name in files:
            full = Path(at, name)
            contents.append(Content(full.relative_to(folder).as_posix(), file(full)))
    return contents
