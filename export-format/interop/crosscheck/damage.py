"""Damage: one byte, a cut, or one thing about the structure that a sound archive does not have."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator

from pcc import profile
from pcc.archive import read_members
from pcc.findings import Findings
from pcc.profile import Member

from .forge import deflate, directory


def bytes_changed(archive: bytes, chance: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    """Single bytes changed, lost, added; single bits; the end cut off. Headers are hit as often as content."""
    place = struct.unpack_from("<I", archive, len(archive) - 6)[0]
    for _ in range(count):
        at = chance.choice([chance.randrange(len(archive)), chance.randrange(place, len(archive)), chance.randrange(400)])
        match chance.randrange(6):
            case 0:
                yield f"cut at {at}", archive[:at]
            case 1:
                yield f"without {at}", archive[:at] + archive[at + 1 :]
            case 2:
                yield f"more at {at}", archive[:at] + bytes([chance.randrange(256)]) + archive[at:]
            case 3:
                to = chance.randrange(256)
                yield f"{at} is {to}", archive[:at] + bytes([to]) + archive[at + 1 :]
            case _:
                bit = chance.randrange(8)
                yield f"bit {bit} of {at}", archive[:at] + bytes([archive[at] ^ 1 << bit]) + archive[at + 1 :]


def put_together(items: list[tuple[Member, bytes]], gap: int = -1) -> bytes:
    """A ZIP of members with their stored bytes; with a byte before the one numbered `gap`."""
    out = bytearray()
    members: list[Member] = []
    for number, (member, raw) in enumerate(items):
        if number == gap:
            out += b"\0"
        member = Member(member.name, member.method, member.crc, member.length, member.stored, len(out))
        members.append(member)
        out += profile.local_header(member) + raw
    if gap == len(items):
        out += b"\0"
    return bytes(out) + directory(members, len(out))


def structure_changed(archive: bytes, chance: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    """Canonical but for one thing: entries swapped, doubled, lost, renamed, packed otherwise, with other headers."""
    items = members_of(archive)
    for _ in range(count):
        changed = list(items)
        at = chance.randrange(len(items))
        member, raw = items[at]
        kind = chance.choice(["swap", "double", "lose", "rename", "method", "crc", "length", "gap", "deflate", "junk", "bomb", "split", "record", "local", "end"])
        match kind:
            case "swap":
                other = chance.randrange(len(items))
                changed[at], changed[other] = changed[other], changed[at]
            case "double":
                changed.insert(chance.randint(0, len(items)), items[at])
            case "lose":
                del changed[at]
            case "rename":
                name = chance.choice([b"data/zz", b"data/../x", member.name.upper(), member.name + b"/x", b"/x", b"data/\xff", b"fetch.txt", b"x", b""])
                changed[at] = Member(name, member.method, member.crc, member.length, member.stored, 0), raw
            case "method":
                changed[at] = Member(member.name, chance.choice([0, 8, 1, 9, 12, 99]), member.crc, member.length, member.stored, 0), raw
            case "crc":
                changed[at] = Member(member.name, member.method, chance.getrandbits(32), member.length, member.stored, 0), raw
            case "length":
                length = chance.choice([member.length + 1, max(0, member.length - 1), 0, 2**32, 9 * 2**20])
                changed[at] = Member(member.name, member.method, member.crc, length, member.stored, 0), raw
            case "deflate":
                changed[at] = packed(member, inflated(member, raw), deflate)
            case "junk":
                more = chance.choice([b"\0", b"\x03\x00", b"\x00\x00\x00\xff\xff"])
                changed[at] = packed(member, inflated(member, raw), lambda content, more=more: deflate(content) + more)
            case "split":
                changed[at] = packed(member, inflated(member, raw), pieced)
            case "bomb":
                content = inflated(member, raw) + b" " * 300_000
                changed[at] = packed(member, content, deflate)
            case _:
                pass
        made = put_together(changed, chance.randint(0, len(items)) if kind == "gap" else -1)
        if kind in ("record", "local", "end"):
            made = patched(made, kind, chance)
        yield f"{kind} {at}", made


def members_of(archive: bytes) -> list[tuple[Member, bytes]]:
    members = read_members(io.BytesIO(archive), Findings(), 1_000_000)
    assert members is not None
    return [(member, archive[member.content_place : member.end]) for member in members]


def inflated(member: Member, raw: bytes) -> bytes:
    return raw if member.method == profile.STORED else zlib.decompress(raw, -zlib.MAX_WBITS)


def packed(member: Member, content: bytes, pack: Callable[[bytes], bytes]) -> tuple[Member, bytes]:
    raw = pack(content)
    return Member(member.name, profile.DEFLATED, zlib.crc32(content), len(content), len(raw), 0), raw


def pieced(content: bytes) -> bytes:
    """A DEFLATE stream of many blocks of every kind, some empty."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    out = b""
    for at in range(0, len(content), 40):
        out += deflater.compress(content[at : at + 40]) + deflater.flush(zlib.Z_FULL_FLUSH if at % 80 else zlib.Z_SYNC_FLUSH)
    return out + deflater.flush()


def patched(archive: bytes, kind: str, chance: random.Random) -> bytes:
    """A field of a header with another value, lengths left alone."""
    end = len(archive) - profile.END.size
    place = struct.unpack_from("<I", archive, end + 16)[0]
    if kind == "end":
        at = end + chance.randrange(4, 22)
    else:
        start, sign, fields = (place, profile.CENTRAL_SIGN, 46) if kind == "record" else (0, profile.LOCAL_SIGN, 30)
        found = [at for at in range(start, end) if archive.startswith(sign, at)]
        at = chance.choice(found) + chance.randrange(4, fields)
    return archive[:at] + bytes([archive[at] ^ 1 << chance.randrange(8)]) + archive[at + 1 :]
