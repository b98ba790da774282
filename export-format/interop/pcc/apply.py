"""Applying deltas (10.6 to 10.11): the full archive from a base and what changed, one delta after the other.

The whole directory of what comes is computed before a byte of it is written, so a delta that does not keep its promise
costs nothing. What is then made has a name of its own until all of it was found sound. Of a chain only the last archive is
judged so; those between are judged as bases are, and go as soon as the next one is made.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import profile
from .archive import Entry, Zip, open_zip
from .check import Check, Options, Report, check
from .delta import DeltaCheck
from .findings import Findings, weight
from .profile import Member
from .words import DELTA_TAG_FILES, MAX_RATIO, TAG_FILES

# 10.8: the tag files of the full archive that stand beneath `full/`.
BENEATH_FULL = {name.removeprefix("full/") for name in DELTA_TAG_FILES if name.startswith("full/")}


def apply(base: Path, deltas: list[Path], out: Path, options: Options = Options()) -> Report:
    """Makes the full archive that the deltas lead to in their order, or says why there is none; `out` must not be there yet."""
    if out.exists():
        raise FileExistsError(f"{out} is there already")
    with tempfile.TemporaryDirectory(prefix=".pcc-", dir=out.parent) as folder:
        here = base
        for number, delta in enumerate(deltas):
            made = Path(folder, f"{number}.pcc.zip")
            findings = Findings()
            if not step(here, delta, made, options, findings):
                return Report(findings)
            if here != base:
                here.unlink()
            here = made
        report = check(here, options)
        if report.accepted:
            os.link(here, out)
        return report


def step(base: Path, delta: Path, out: Path, options: Options, findings: Findings) -> bool:
    """Puts together what comes of one delta, which is not judged yet."""
    try:
        with Opened() as opened:
            made = plan(opened, base, delta, options, findings)
            if made is None:
                return False
            with out.open("xb") as file:
                for piece in made.pieces():
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            return True
    except OSError as error:
        findings.add("io", "", f"cannot be read or made: {error.strerror or error}")
        return False


@dataclass
class Opened:
    """The archives that are read from, closed together."""

    archives: list[Zip] = field(default_factory=list)

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        for archive in self.archives:
            archive.close()

    def open(
        self,
        path: Path,
        findings: Findings,
        max_entries: int,
        tag_files: tuple[str, ...],
        local: Callable[[Member], bool] = lambda member: True,
    ) -> Zip | None:
        if path.is_dir():
            findings.add("io", "", f"{path} is a folder, which has no stored bytes")
            return None
        archive = open_zip(path, findings, max_entries, tag_files, local)
        if archive is not None:
            self.archives.append(archive)
        return archive


def outside_payload(member: Member) -> bool:
    """Whose local headers are judged in a base: its payload is read by the directory, and what comes of it has its own (10.6)."""
    return not member.name.startswith(b"data/")


@dataclass(frozen=True)
class Planned:
    """An archive to be: each member with the archive and the member whose stored bytes it has, and what follows them."""

    members: list[tuple[Member, Zip, Member]]
    end: bytes

    @property
    def length(self) -> int:
        return (self.members[-1][0].end if self.members else 0) + len(self.end)

    def pieces(self) -> Iterator[bytes]:
        for member, archive, source in self.members:
            yield profile.local_header(member)
            yield from archive.raw(source)
        yield self.end


def plan(opened: Opened, base: Path, delta: Path, options: Options, findings: Findings) -> Planned | None:
    """What comes of a delta that is sound, applied to the archive that it builds on; else None, and why."""
    carries = opened.open(delta, findings, options.max_entries, DELTA_TAG_FILES)
    if carries is None:
        return None
    judged = DeltaCheck(carries, options, findings)
    judged.judge()
    if not findings.accepted or judged.promise is None:
        return None
    holds = opened.open(base, findings, options.max_entries, TAG_FILES, outside_payload)
    if holds is None:
        return None
    based = look_at_base(holds, judged, options, findings)
    if not findings.accepted:
        return None
    sources = resolve(judged, based, carries, holds, findings)
    if not findings.accepted:
        return None
    made = laid_out(sources)
    promised = judged.promise
    if (made.length, len(made.members), hashlib.sha256(made.end).hexdigest()) != (
        promised.bytes,
        promised.entries,
        promised.directory,
    ):
        findings.add("delta.result", "", "what comes of the delta is not what it promises")
    if made.length > MAX_RATIO * (base.stat().st_size + delta.stat().st_size):
        findings.add("limit.ratio", "", f"more than {MAX_RATIO} times as much comes of the delta")
    total = sum(member.length for member, _, _ in made.members if member.name.startswith(b"data/"))
    if options.quota is not None and total > options.quota:
        findings.add("limit.quota", "", f"holds {total} bytes; there is room for {options.quota}")
    return made if findings.accepted else None


def look_at_base(archive: Zip, delta: DeltaCheck, options: Options, findings: Findings) -> Check:
    """10.6: whether it is the base, and sound as far as that is known before its payload is looked at.

    Whose key it is signed with is not asked: what comes of it is.
    """
    told = Findings()
    check = Check(archive, replace(options, trusted=None), told)
    check.before_content()
    digest = hashlib.sha256(check.tags.get("manifest-sha256.txt", b"")).hexdigest()
    assert delta.base is not None
    if (check.pcc.get("archiveId"), digest) != (delta.base.archive_id, delta.base.manifest):
        findings.add("delta.base", "", f"the delta builds on {delta.base.archive_id}, which this is not")
    for finding in told:
        if weight(finding.code) == "refusal":
            findings.add(finding.code, finding.path, f"the base: {finding.message}")
    return check


def resolve(
    delta: DeltaCheck, base: Check, carries: Zip, holds: Zip, findings: Findings
) -> list[tuple[bytes, Zip, Entry]]:
    """The entries of the full archive in order, each with where it is (10.7, 10.8)."""
    sources: list[tuple[bytes, Zip, Entry]] = []
    for name in TAG_FILES:
        own = f"full/{name}" if name in BENEATH_FULL else name
        sources.append((name.encode("ascii"), carries, delta.by_path[own]))
    by_digest: dict[str, str] = {}
    for path, digest in base.manifest.items():  # Sorted by the bytes of the paths, or it would have been refused.
        by_digest.setdefault(digest, path)
    for path, digest in delta.manifest.items():
        if path not in delta.taken:
            sources.append((path.encode("utf-8"), carries, delta.by_path[path]))
            continue
        found = path if base.manifest.get(path) == digest else by_digest.get(digest)
        if found is None or base.by_path[found].length != delta.taken[path]:
            findings.add("delta.lacking", path, "is not in the base with this digest and length")
            continue
        sources.append((path.encode("utf-8"), holds, base.by_path[found]))
    return sources


def laid_out(sources: list[tuple[bytes, Zip, Entry]]) -> Planned:
    """The canonical ZIP of these."""
    members: list[tuple[Member, Zip, Member]] = []
    at = 0
    for name, archive, entry in sources:
        source = entry.member
        assert source is not None
        member = replace(source, name=name, place=at)
        members.append((member, archive, source))
        at = member.end
    records = b"".join(profile.central_header(member) for member, _, _ in members)
    return Planned(members, records + profile.end_records(len(members), at, len(records)))
