"""What a reader says about an archive: every breach by the code that section 14 gives it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

# Section 14: the threat (9) that each code stands against; 0 for none.
THREATS = {
    "io": 0,
    "zip.end-missing": 3,
    "zip.trailing": 3,
    "zip.end": 3,
    "zip.directory": 3,
    "zip.header": 3,
    "zip.flags": 3,
    "zip.method": 3,
    "zip.mode": 2,
    "zip.local": 3,
    "zip.gap": 3,
    "zip.order": 3,
    "path.invalid": 1,
    "path.duplicate": 3,
    "path.collision": 6,
    "path.unexpected": 5,
    "bag.tag-file-missing": 5,
    "bag.tag-file-too-long": 4,
    "bag.declaration": 5,
    "bag.info": 5,
    "bag.oxum": 5,
    "bag.profile": 5,
    "bag.manifest-line": 5,
    "bag.manifest-order": 5,
    "bag.tag-digest": 5,
    "bag.tag-unlisted": 5,
    "bag.unlisted": 5,
    "bag.missing": 5,
    "bag.digest": 5,
    "bag.fetch": 8,
    "entry.crc": 5,
    "entry.deflate": 4,
    "limit.entries": 4,
    "limit.ratio": 4,
    "limit.quota": 4,
    "limit.document": 4,
    "signature.wrong": 14,
    "signature.untrusted": 14,
    "signature.unchecked": 14,
    "pcc.unreadable": 7,
    "pcc.format": 5,
    "pcc.min-reader": 0,
    "pcc.delta": 8,
    "delta.full": 0,
    "delta.pcc": 5,
    "delta.fetch": 8,
    "delta.elsewhere": 8,
    "delta.twice": 5,
    "delta.base": 5,
    "delta.lacking": 5,
    "delta.result": 5,
    "pcc.bytes": 5,
    "pcc.counts": 5,
    "pcc.secrets": 5,
    "doc.json": 7,
    "doc.invalid": 7,
    "row.invalid": 7,
    "row.order": 7,
    "doc.segments": 5,
    "doc.files": 5,
    "row.blob": 5,
    "import.grants": 9,
    "import.schedules": 10,
    "import.domains": 11,
    "directory.link": 2,
}

# The codes that do not refuse an archive.
LIGHT = {
    "signature.unchecked": "note",
    "pcc.counts": "warning",
    "row.blob": "warning",
    "import.grants": "note",
    "import.schedules": "note",
    "import.domains": "note",
}


def weight(code: str) -> str:
    """`refusal`, `warning` or `note` (14)."""
    return LIGHT.get(code, "refusal")


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach: its code, the entry it is about (or ""), and a sentence for a person."""

    code: str
    path: str
    message: str

    def __str__(self) -> str:
        where = f" {self.path!r}" if self.path else ""
        return f"{weight(self.code)} {self.code}{where}: {self.message}"

    def as_json(self) -> dict[str, Any]:
        """The finding as `report` of section 13 has it."""
        return {
            "code": self.code,
            "severity": weight(self.code),
            "threat": THREATS[self.code] or None,
            "path": self.path or None,
            "message": self.message,
        }


@dataclass
class Findings:
    """All findings of one reading. What repeats is counted on, yet kept only a bounded number of times."""

    kept: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    most_of_a_code: int = 100

    def add(self, code: str, path: str, message: str) -> None:
        seen = self.counts.get(code, 0)
        self.counts[code] = seen + 1
        if seen < self.most_of_a_code:
            self.kept.append(Finding(code, path, message))

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.kept)

    @property
    def unlisted(self) -> int:
        """How many findings were counted and not kept."""
        return sum(self.counts.values()) - len(self.kept)

    @property
    def codes(self) -> list[str]:
        return sorted(self.counts)

    @property
    def refusals(self) -> list[str]:
        return sorted(code for code in self.counts if weight(code) == "refusal")

    @property
    def accepted(self) -> bool:
        return not self.refusals
