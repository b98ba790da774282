"""Archives as they are met: one canonical ZIP, or a folder (3, 7.5). Nothing here believes a length it is told.

Both give their entries in order, with content that is streamed in bounded pieces. What is wrong with the container
itself goes into the findings; where the entries of a ZIP cannot be told apart, there is no archive to look into.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from . import profile
from .findings import Findings
from .profile import Member
from .words import CHUNK, MAX_DOCUMENT, MAX_RATIO, TAG_FILES, TAG_RANK


# 3.9: how far from the end of the file an end record is looked for, to say that something follows it.
END_SEARCH = 70_000


class ContentError(Exception):
    """Content that cannot be what its headers say; `code` names the breach."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its path as text (undecodable bytes as half surrogates), and the length it declares."""

    path: str
    length: int
    member: Member | None = None


class Archive(Protocol):
    """What a check or an extraction needs of an archive."""

    entries: list[Entry]

    def pieces(self, entry: Entry) -> Iterator[bytes]:
        """The entry's content, never more of it than declared. May raise ContentError or OSError."""

    def close(self) -> None: ...


def open_archive(path: Path, findings: Findings, max_entries: int) -> Archive | None:
    """The archive at a path, or None where it cannot be told what its entries are."""
    if path.is_dir():
        return Folder(path, findings, max_entries)
    return open_zip(path, findings, max_entries)


class Zip:
    """A ZIP whose central directory has been read and found to describe entries."""

    def __init__(self, file: BinaryIO, entries: list[Entry]) -> None:
        self.entries = entries
        self._file = file

    def close(self) -> None:
        self._file.close()

    def pieces(self, entry: Entry) -> Iterator[bytes]:
        member = entry.member
        assert member is not None
        if member.method == profile.STORED:
            yield from self._stored(member)
        else:
            yield from self._inflated(member)

    def _stored(self, member: Member) -> Iterator[bytes]:
        crc = 0
        for piece in self.raw(member):
            crc = zlib.crc32(piece, crc)
            yield piece
        if crc != member.crc:
            raise ContentError("entry.crc", "the content does not have the CRC-32 that its header says")

    def _inflated(self, member: Member) -> Iterator[bytes]:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        crc = made = 0
        for raw in self.raw(member):
            while raw:
                if inflater.eof:
                    raise ContentError("entry.deflate", "the DEFLATE stream ends before the entry does")
                try:
                    piece = inflater.decompress(raw, min(CHUNK, member.length - made + 1))
                except zlib.error:
                    raise ContentError("entry.deflate", "this is no DEFLATE stream") from None
                raw = inflater.unconsumed_tail
                made += len(piece)
                if made > member.length:
                    raise ContentError("entry.deflate", "the DEFLATE stream yields more than the header says")
                crc = zlib.crc32(piece, crc)
                if piece:
                    yield piece
            if inflater.unused_data:
                raise ContentError("entry.deflate", "the DEFLATE stream ends before the entry does")
        if not inflater.eof:
            # The end mark can still lie in the inflater when its output was cut at the last byte.
            try:
                more = inflater.decompress(b"", 1)
            except zlib.error:
                more = b""
            if more or not inflater.eof or inflater.unused_data:
                raise ContentError("entry.deflate", "the DEFLATE stream does not end with the entry")
        if made != member.length:
            raise ContentError("entry.deflate", "the DEFLATE stream yields less than the header says")
        if crc != member.crc:
            raise ContentError("entry.crc", "the content does not have the CRC-32 that its header says")

    def raw(self, member: Member) -> Iterator[bytes]:
        """The bytes as they are stored."""
        self._file.seek(member.content_place)
        left = member.stored
        while left:
            piece = self._file.read(min(CHUNK, left))
            if not piece:
                raise OSError("the file ends within an entry")
            left -= len(piece)
            yield piece


def open_zip(
    path: Path,
    findings: Findings,
    max_entries: int,
    tag_files: Sequence[str] = TAG_FILES,
    local: Callable[[Member], bool] = lambda member: True,
) -> Zip | None:
    """The ZIP in a file, compared with the only one that has its list of members (3); `local`: whose local headers are."""
    file = path.open("rb")
    try:
        members = read_members(file, findings, max_entries, tag_files)
        look_at_local_headers(file, filter(local, members or ()), findings)
    except BaseException:
        file.close()
        raise
    if members is None:
        file.close()
        return None
    entries = [Entry(member.name.decode("utf-8", "surrogateescape"), member.length, member) for member in members]
    look_at_order(entries, findings, tag_files)
    return Zip(file, entries)


def read_members(
    file: BinaryIO, findings: Findings, max_entries: int, tag_files: Sequence[str] = TAG_FILES
) -> list[Member] | None:
    """The members of a ZIP in the order in which they lie, or None where that cannot be told."""
    size = file.seek(0, os.SEEK_END)
    end = find_end(file, size, findings)
    if end is None:
        return None
    if end.count > max_entries:
        findings.add("limit.entries", "", f"has {end.count} entries; at most {max_entries} are taken")
        return None
    members = read_directory(file, end, findings, tag_files)
    if members is None or not follow_each_other(members, end.place, findings):
        return None
    return members


def look_at_local_headers(file: BinaryIO, members: Iterable[Member], findings: Findings) -> None:
    """A local header is byte for byte what its record demands (3.12)."""
    for member in members:
        expected = profile.local_header(member)
        file.seek(member.place)
        if file.read(len(expected)) != expected:
            findings.add("zip.local", printable(member), "has a local header other than its record demands")


@dataclass(frozen=True, slots=True)
class End:
    """What the end records say of the central directory."""

    count: int
    length: int
    place: int


def find_end(file: BinaryIO, size: int, findings: Findings) -> End | None:
    """The end records, byte for byte the only ones for what they say (3.9)."""
    file.seek(max(0, size - END_SEARCH))
    tail = file.read()
    at = len(tail) - profile.END.size
    if at < 0 or not tail.startswith(profile.END_SIGN, at):
        if at > 0 and tail.rfind(profile.END_SIGN, 0, at + len(profile.END_SIGN) - 1) != -1:
            findings.add("zip.trailing", "", "has something after its end record")
        else:
            findings.add("zip.end-missing", "", "has no end record; it was cut off, or it is no ZIP")
        return None
    record = profile.END.unpack_from(tail, at)
    end = End(record[4], record[5], record[6])
    if profile.ONES16 == end.count or profile.ONES32 in (end.length, end.place):
        at -= profile.LOCATOR.size + profile.END64.size
        if at >= 0:
            record = profile.END64.unpack_from(tail, at)
            end = End(record[7], record[8], record[9])
    records = profile.end_records(end.count, end.place, end.length)
    if tail[at:] != records or end.place + end.length + len(records) != size:
        findings.add("zip.end", "", "has end records other than those of its entries")
        return None
    return end


def read_directory(
    file: BinaryIO, end: End, findings: Findings, tag_files: Sequence[str]
) -> list[Member] | None:
    """The members that the central directory describes (3.10)."""
    members: list[Member] = []
    file.seek(end.place)
    left = end.length
    at = 0
    for _ in range(end.count):
        fixed = file.read(profile.CENTRAL.size) if left >= profile.CENTRAL.size else b""
        if len(fixed) < profile.CENTRAL.size or not fixed.startswith(profile.CENTRAL_SIGN):
            findings.add("zip.directory", "", "the directory does not hold as many records as it should")
            return None
        fields = profile.CENTRAL.unpack(fixed)
        name_length, extra_length, comment_length = fields[10], fields[11], fields[12]
        left -= profile.CENTRAL.size + name_length + extra_length + comment_length
        if left < 0:
            findings.add("zip.directory", "", "the directory is shorter than its records")
            return None
        rest = file.read(name_length + extra_length + comment_length)
        member = read_member(fields, rest[:name_length], rest[name_length : name_length + extra_length])
        if member.method not in (profile.STORED, profile.DEFLATED):
            findings.add("zip.method", printable(member), f"has the method {member.method}")
            return None
        look_at_record(member, fields, fixed + rest, findings)
        look_at_lengths(member, findings, tag_files)
        members.append(member)
    if left:
        findings.add("zip.directory", "", "the directory is longer than its records")
        return None
    return members


def read_member(fields: tuple[int, ...], name: bytes, extra: bytes) -> Member:
    """What a record says, with the numbers of its extra field where they are due (3.6)."""
    stored, length, place = fields[8], fields[9], fields[16]
    if extra.startswith(b"\x01\x00"):
        numbers = [int.from_bytes(extra[at : at + 8], "little") for at in range(4, len(extra) - 7, 8)]
        if stored == length == profile.ONES32 and len(numbers) >= 2:
            length, stored = numbers[:2]
            del numbers[:2]
        if place == profile.ONES32 and numbers:
            place = numbers[0]
    return Member(name, fields[4], fields[7], length, stored, place)


def look_at_record(member: Member, fields: tuple[int, ...], raw: bytes, findings: Findings) -> None:
    """Compares a record with the only one that this member can have, and names what differs (3.11)."""
    told = False
    if fields[3] != profile.FLAGS:
        findings.add("zip.flags", printable(member), f"has the flags {fields[3]:#06x}")
        told = True
    if fields[15] != profile.MODE or fields[14] != 0 or fields[1] & 0xFF00 != profile.UNIX:
        findings.add("zip.mode", printable(member), f"has the attributes {fields[15]:#010x}")
        told = True
    if not told and raw != profile.central_header(member):
        findings.add("zip.header", printable(member), "has a record other than the only one for its name and lengths")


def look_at_lengths(member: Member, findings: Findings, tag_files: Sequence[str]) -> None:
    """What the method allows of lengths (3.3)."""
    path = printable(member)
    if member.method == profile.STORED:
        if member.stored != member.length:
            findings.add("zip.header", path, "is stored and has two lengths")
        return
    if path in tag_files:
        findings.add("zip.method", path, "is a tag file and not stored")
    if member.length > MAX_DOCUMENT:
        findings.add("limit.document", path, f"is deflated and longer than {MAX_DOCUMENT} bytes")
    if not member.stored < member.length <= MAX_RATIO * member.stored:
        findings.add("limit.ratio", path, f"is deflated to no less, or to less than a {MAX_RATIO}th")


def follow_each_other(members: list[Member], directory: int, findings: Findings) -> bool:
    """Whether every member lies where the one before ends, the first at 0, the last before the directory (3.11)."""
    at = 0
    for member in members:
        if member.place != at:
            findings.add("zip.gap", printable(member), f"begins at {member.place}; the one before ends at {at}")
            return False
        at = member.end
    if at != directory:
        findings.add("zip.gap", "", "the last entry does not end where the directory begins")
        return False
    return True


def printable(member: Member) -> str:
    return member.name.decode("utf-8", "replace")


def look_at_order(entries: list[Entry], findings: Findings, tag_files: Sequence[str]) -> None:
    """The tag files in their order, then the payload sorted by bytes (3.7)."""
    rank = {name: number for number, name in enumerate(tag_files)}
    before: tuple[int, bytes] = (-1, b"")
    for entry in entries:
        if entry.path in rank:
            key = (rank[entry.path], b"")
        elif entry.path.startswith("data/"):
            key = (len(rank), entry.path.encode("utf-8", "surrogateescape"))
        else:
            continue
        if key < before:
            findings.add("zip.order", entry.path, "stands after an entry that should follow it")
        before = key


class Folder:
    """An unpacked archive. Links are neither followed nor taken (7.5)."""

    def __init__(self, path: Path, findings: Findings, max_entries: int) -> None:
        self._top = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        found: list[Entry] = []
        self._walk("", found, findings, max_entries)
        found.sort(key=lambda entry: (TAG_RANK.get(entry.path, 8), os.fsencode(entry.path)))
        self.entries = found

    def close(self) -> None:
        os.close(self._top)

    def _walk(self, top: str, found: list[Entry], findings: Findings, max_entries: int) -> None:
        folders = [top]
        while folders:
            folder = folders.pop()
            opened = self._open(folder, os.O_DIRECTORY) if folder else os.dup(self._top)
            try:
                with os.scandir(opened) as items:
                    for item in items:
                        path = f"{folder}/{item.name}" if folder else item.name
                        status = item.stat(follow_symlinks=False)
                        if stat.S_ISDIR(status.st_mode):
                            folders.append(path)
                        elif stat.S_ISREG(status.st_mode):
                            if len(found) == max_entries:
                                findings.add("limit.entries", "", f"has more than {max_entries} entries")
                                return
                            found.append(Entry(path, status.st_size))
                        else:
                            findings.add("directory.link", path, "is a link, a device or the like")
            finally:
                os.close(opened)

    def _open(self, path: str, flags: int) -> int:
        """Opens what lies at a path beneath the folder, one name after the other, so that no link is followed."""
        at = os.dup(self._top)
        names = path.split("/")
        try:
            for name in names[:-1]:
                below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
                os.close(at)
                at = below
            return os.open(names[-1], os.O_RDONLY | os.O_NOFOLLOW | flags, dir_fd=at)
        finally:
            os.close(at)

    def pieces(self, entry: Entry) -> Iterator[bytes]:
        with os.fdopen(self._open(entry.path, os.O_NONBLOCK), "rb") as file:
            left = entry.length
            while left and (piece := file.read(min(CHUNK, left))):
                left -= len(piece)
                yield piece
            if left or file.read(1):
                raise OSError("the file changed its length while it was read")
