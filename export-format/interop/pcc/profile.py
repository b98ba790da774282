"""The canonical ZIP (3.1 to 3.6): from (name, method, CRC-32, lengths) follow all other bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass

STORED, DEFLATED = 0, 8
FLAGS = 0x0800
TIME, DATE = 0x6000, 0x5B75
PLAIN, ZIP64 = 20, 45
UNIX = 0x0300
MODE = 0x81A40000
ONES16, ONES32 = 0xFFFF, 0xFFFFFFFF

LOCAL = struct.Struct("<4sHHHHHIIIHH")
CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
END = struct.Struct("<4sHHHHIIH")
END64 = struct.Struct("<4sQHHIIQQQQ")
LOCATOR = struct.Struct("<4sIQI")

LOCAL_SIGN, CENTRAL_SIGN, END_SIGN = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
END64_SIGN, LOCATOR_SIGN = b"PK\x06\x06", b"PK\x06\x07"


@dataclass(frozen=True, slots=True)
class Member:
    """What alone is free in an entry of the ZIP, and where it therefore lies."""

    name: bytes
    method: int
    crc: int
    length: int
    stored: int
    place: int

    @property
    def large(self) -> bool:
        """Whether its lengths stand in the extra field (3.6)."""
        return self.length >= ONES32 or self.stored >= ONES32

    @property
    def content_place(self) -> int:
        return self.place + LOCAL.size + len(self.name) + (20 if self.large else 0)

    @property
    def end(self) -> int:
        return self.content_place + self.stored


def local_header(member: Member) -> bytes:
    extra = b""
    if member.large:
        extra = struct.pack("<HHQQ", 1, 16, member.length, member.stored)
    fixed = LOCAL.pack(
        LOCAL_SIGN,
        ZIP64 if extra else PLAIN,
        FLAGS,
        member.method,
        TIME,
        DATE,
        member.crc,
        ONES32 if member.large else member.stored,
        ONES32 if member.large else member.length,
        len(member.name),
        len(extra),
    )
    return fixed + member.name + extra


def central_header(member: Member) -> bytes:
    numbers: list[int] = []
    if member.large:
        numbers += [member.length, member.stored]
    far = member.place >= ONES32
    if far:
        numbers.append(member.place)
    extra = struct.pack(f"<HH{len(numbers)}Q", 1, 8 * len(numbers), *numbers) if numbers else b""
    version = ZIP64 if extra else PLAIN
    fixed = CENTRAL.pack(
        CENTRAL_SIGN,
        UNIX | version,
        version,
        FLAGS,
        member.method,
        TIME,
        DATE,
        member.crc,
        ONES32 if member.large else member.stored,
        ONES32 if member.large else member.length,
        len(member.name),
        len(extra),
        0,
        0,
        0,
        MODE,
        ONES32 if far else member.place,
    )
    return fixed + member.name + extra


def needs_zip64_end(count: int, place: int, length: int) -> bool:
    return count >= ONES16 or place >= ONES32 or length >= ONES32


def end_records(count: int, place: int, length: int) -> bytes:
    """The records after a central directory of so many headers, at this place and of this length."""
    records = b""
    if needs_zip64_end(count, place, length):
        records += END64.pack(END64_SIGN, 44, UNIX | ZIP64, ZIP64, 0, 0, count, count, length, place)
        records += LOCATOR.pack(LOCATOR_SIGN, 0, place + length, 1)
    few = min(count, ONES16)
    return records + END.pack(END_SIGN, 0, 0, few, few, min(length, ONES32), min(place, ONES32), 0)
