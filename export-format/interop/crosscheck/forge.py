"""Makes archives of any content, sound but for what is asked for: what a hostile writer would do."""

from __future__ import annotations

import hashlib
import json
import tempfile
import subprocess
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pcc import manifest, places, profile, signature, writer
from pcc.places import Holds
from pcc.profile import Member
from pcc.words import DECLARATION, MAX_RATIO, TAG_FILES, VOUCHED_TAG_FILES

Json = dict[str, Any]

DID = "did:web:anna.example"


class Keys:
    """A key pair for the time of a run, and what it signed already."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pcc-keys-")
        self.private = Path(self._folder.name, "key")
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "cross", "-f", str(self.private)]
        subprocess.run(command, check=True, timeout=60)
        self.public = self.private.with_suffix(".pub").read_text("ascii")

    def close(self) -> None:
        self._folder.cleanup()

    def sign(self, content: bytes) -> bytes:
        return signature.sign(content, self.private)


@dataclass
class Forge:
    """What an archive is to be made of. Every field is free to be wrong; what follows from others is made to fit.

    `tags` replaces tag files before they are vouched for (None leaves one out), `late` after it; `pcc` and `info`
    change what `pcc.json` and `bag-info.txt` would rightly say; `stored` are the payload paths that are not deflated.
    """

    payload: dict[str, bytes]
    tags: dict[str, bytes | None] = field(default_factory=dict)
    late: dict[str, bytes | None] = field(default_factory=dict)
    pcc: Callable[[Json], object] = lambda value: None
    stored: frozenset[str] = frozenset()
    listed: Callable[[dict[str, str]], object] = lambda digests: None

    def entries(self, keys: Keys) -> list[tuple[str, bytes]]:
        """Name and content of every entry, in the order that 3.7 asks for."""
        tags: dict[str, bytes | None] = dict(self.own_tags())
        tags.update(self.tags)
        digests = {
            name: hashlib.sha256(content).hexdigest()
            for name in VOUCHED_TAG_FILES
            if (content := tags[name]) is not None
        }
        if "tagmanifest-sha256.txt" not in self.tags:
            tags["tagmanifest-sha256.txt"] = manifest.write(digests)
        if "tagmanifest-sha256.txt.sig" not in self.tags:
            tags["tagmanifest-sha256.txt.sig"] = keys.sign(tags["tagmanifest-sha256.txt"] or b"")
        tags.update(self.late)
        entries = [(name, content) for name in TAG_FILES if (content := tags[name]) is not None]
        return entries + sorted(self.payload.items(), key=lambda item: raw(item[0]))

    def own_tags(self) -> dict[str, bytes]:
        total = sum(len(content) for content in self.payload.values())
        value = self.own_pcc(total)
        self.pcc(value)
        digests = {path: hashlib.sha256(content).hexdigest() for path, content in self.payload.items()}
        self.listed(digests)
        return {
            "bagit.txt": DECLARATION,
            "bag-info.txt": manifest.write_info(
                [
                    ("BagIt-Profile-Identifier", writer.PROFILE_ID),
                    ("Bagging-Date", "2026-11-21"),
                    ("External-Identifier", DID),
                    ("Payload-Oxum", f"{total}.{len(self.payload)}"),
                    ("Source-Organization", "Example"),
                ]
            ),
            "pcc.json": json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n",
            "bagit-profile.json": writer.pretty(writer.PROFILE),
            "START-HERE.html": writer.START_HERE,
            "manifest-sha256.txt": b"".join(
                digests[path].encode() + b"  " + raw(path) + b"\n" for path in sorted(digests, key=raw)
            ),
        }

    def own_pcc(self, total: int) -> Json:
        holds = {path: places.place(path) for path in self.payload if path.startswith("data/")}
        sealed = [path for path, place in holds.items() if place.holds is Holds.SEALED]
        return {
            "format": "pcc-archive",
            "version": "1.0",
            "minReader": "1.0",
            "archiveId": "urn:uuid:01920000-0000-7000-8000-000000000001",
            "kind": "full",
            "subject": {"did": DID, "domain": "anna.example"},
            "snapshot": {"at": "2026-11-21T07:00:00Z", "seq": 7, "consistency": "point-in-time"},
            "base": None,
            "source": {"provider": "Example", "origin": "https://example", "software": "forge/1"},
            "counts": {"apps": 0, "tables": 0, "documents": 0, "files": 0, "bytes": total},
            "secrets": {"scheme": "age", "files": sealed, "unlock": ["recipient"]},
            "omitted": [],
        }

    def archive(self, keys: Keys) -> bytes:
        """The archive as bytes: documents deflated where that is allowed and gives something."""
        return zip_of(
            (raw(name), content, name.startswith("data/") and name not in self.stored and is_document(name))
            for name, content in self.entries(keys)
        )


def raw(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def is_document(path: str) -> bool:
    holds = places.place(path).holds
    return holds in places.DOCUMENTS or holds in places.ROWS


def zip_of(entries: Iterable[tuple[bytes, bytes, bool]]) -> bytes:
    """The canonical ZIP of these (name, content, whether to deflate it if that is allowed)."""
    out = bytearray()
    members: list[Member] = []
    for name, content, wish in entries:
        method, stored = profile.STORED, content
        if wish:
            deflated = deflate(content)
            if len(deflated) < len(content) <= MAX_RATIO * len(deflated) and len(content) <= 8 * 1024 * 1024:
                method, stored = profile.DEFLATED, deflated
        member = Member(name, method, zlib.crc32(content), len(content), len(stored), len(out))
        members.append(member)
        out += profile.local_header(member) + stored
    return bytes(out) + directory(members, len(out))


def directory(members: list[Member], place: int) -> bytes:
    records = b"".join(map(profile.central_header, members))
    return records + profile.end_records(len(members), place, len(records))


def deflate(content: bytes) -> bytes:
    deflater = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(content) + deflater.flush()


