"""Making a delta (10.10): what a later archive has and an earlier one has not, byte for byte."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
import zlib
from pathlib import Path
from typing import Any

from . import manifest, profile, signature
from .apply import BENEATH_FULL, Opened, laid_out
from .archive import Entry, Zip
from .check import Check, Options, Report, check
from .findings import Findings, weight
from .profile import Member
from .words import DELTA_TAG_FILES, DELTA_VOUCHED, MAX_PCC, TAG_FILES
from .writer import WriteError

START_HERE = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Changes of a personal server archive</title>
<h1>Changes of a personal server archive</h1>
<p>This file holds only what changed since an earlier archive. It is of use together with that archive alone, whose id is
written in <a href="pcc.json">pcc.json</a> as <code>base</code>.</p>
</html>
"""


def make(base: Path, new: Path, out: Path, key: Path | None = None, options: Options = Options()) -> Report:
    """Writes the delta from one archive to the next; says why there is none where one of them is not sound."""
    report = check(new, options)
    if not report.accepted:
        return report
    with Opened() as opened:
        findings = Findings()
        holds = opened.open(base, findings, options.max_entries, TAG_FILES)
        wanted = opened.open(new, findings, options.max_entries, TAG_FILES)
        if holds is None or wanted is None:
            return Report(findings)
        known = Check(holds, Options(max_entries=options.max_entries), Findings())
        known.before_content()
        for finding in known.findings:
            if weight(finding.code) == "refusal":
                findings.add(finding.code, finding.path, f"the base: {finding.message}")
        if not findings.accepted:
            return Report(findings)
        taken, carried = divided(report, known, holds, wanted)
        tags = tag_files(report, known, wanted, taken, key)
        write(out, tags, wanted, carried)
    return report


def divided(report: Report, known: Check, holds: Zip, wanted: Zip) -> tuple[list[Entry], list[Entry]]:
    """The payload of the later archive: what the earlier one has just so, and what must be carried."""
    by_digest: dict[str, str] = {}
    for path, digest in known.manifest.items():
        by_digest.setdefault(digest, path)
    taken: list[Entry] = []
    carried: list[Entry] = []
    for entry in report.entries:
        if not entry.path.startswith("data/"):
            continue
        digest = report.manifest[entry.path]
        found = entry.path if known.manifest.get(entry.path) == digest else by_digest.get(digest)
        there = found is not None and same(wanted, entry.member, holds, known.by_path[found].member)
        (taken if there else carried).append(entry)
    return taken, carried


def same(left: Zip, one: Member | None, right: Zip, other: Member | None) -> bool:
    """Whether two members are alike in all but name and place, stored bytes and all."""
    assert one is not None and other is not None
    if (one.method, one.crc, one.length, one.stored) != (other.method, other.crc, other.length, other.stored):
        return False
    digests = []
    for archive, member in ((left, one), (right, other)):
        digest = hashlib.sha256()
        for piece in archive.raw(member):
            digest.update(piece)
        digests.append(digest.digest())
    return digests[0] == digests[1]


def tag_files(report: Report, known: Check, wanted: Zip, taken: list[Entry], key: Path | None) -> dict[str, bytes]:
    """A delta's own thirteen files (10.2 to 10.4)."""
    tags: dict[str, bytes] = {}
    for entry in report.entries:
        if entry.path in TAG_FILES:
            name = f"full/{entry.path}" if entry.path in BENEATH_FULL else entry.path
            tags[name] = b"".join(wanted.pieces(entry))
    archive_id = known.pcc["archiveId"]
    tags["pcc.json"] = pcc(report.pcc, archive_id, known.tags["manifest-sha256.txt"], wanted)
    tags["START-HERE.html"] = START_HERE
    tags["fetch.txt"] = b"".join(f"{archive_id} {entry.length} {entry.path}\n".encode("utf-8") for entry in taken)
    vouched = {name: hashlib.sha256(tags[name]).hexdigest() for name in DELTA_VOUCHED}
    tags["tagmanifest-sha256.txt"] = manifest.write(vouched)
    tags["tagmanifest-sha256.txt.sig"] = sign(tags["tagmanifest-sha256.txt"], key)
    return tags


def pcc(full: dict[str, Any], archive_id: str, listed: bytes, wanted: Zip) -> bytes:
    """`pcc.json` of a delta (10.3)."""
    # The archive was found sound, so its directory is the one that follows from its entries.
    made = laid_out([(entry.path.encode("utf-8"), wanted, entry) for entry in wanted.entries])
    value = full | {
        "kind": "delta",
        "base": {"archiveId": archive_id, "manifest": hashlib.sha256(listed).hexdigest()},
        "full": {
            "bytes": made.length,
            "entries": len(made.members),
            "directory": hashlib.sha256(made.end).hexdigest(),
        },
    }
    content = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    if len(content) > MAX_PCC:
        raise WriteError("pcc.json of the delta would be longer than it may be")
    return content


def sign(content: bytes, key: Path | None) -> bytes:
    """The delta's own signature, which may be anyone's (10.9): by a key made for it alone if none is given."""
    if key is not None:
        return signature.sign(content, key)
    with tempfile.TemporaryDirectory(prefix="pcc-key-") as folder:
        made = Path(folder, "key")
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "delta", "-f", str(made)]
        subprocess.run(command, check=True, timeout=signature.SECONDS, stdout=subprocess.DEVNULL)
        return signature.sign(content, made)


def write(out: Path, tags: dict[str, bytes], wanted: Zip, carried: list[Entry]) -> None:
    """The delta as a file that is not there yet; it gets its name when all of it is written."""
    if out.exists():
        raise FileExistsError(f"{out} is there already")
    with tempfile.TemporaryDirectory(prefix=".pcc-", dir=out.parent) as folder:
        unfinished = Path(folder, "unfinished.pcc.zip")
        records: list[bytes] = []
        with unfinished.open("xb") as file:
            at = 0
            for name in DELTA_TAG_FILES:
                content = tags[name]
                member = Member(name.encode("ascii"), profile.STORED, zlib.crc32(content), len(content), len(content), at)
                file.write(profile.local_header(member) + content)
                records.append(profile.central_header(member))
                at = member.end
            for (member, archive, source) in laid_out([(e.path.encode("utf-8"), wanted, e) for e in carried]).members:
                member = Member(member.name, member.method, member.crc, member.length, member.stored, at)
                file.write(profile.local_header(member))
                for piece in archive.raw(source):
                    file.write(piece)
                records.append(profile.central_header(member))
                at = member.end
            directory = b"".join(records)
            file.write(directory + profile.end_records(len(records), at, len(directory)))
            file.flush()
            os.fsync(file.fileno())
        os.link(unfinished, out)
