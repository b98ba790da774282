"""Pairs of archives, deltas between them, and deltas with one thing wrong; and asking both to apply them."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pcc import manifest
from pcc.apply import apply
from pcc.check import Options
from pcc.profile import STORED, Member
from pcc.words import DELTA_TAG_FILES, DELTA_VOUCHED

from . import servers
from .both import SECONDS, Answer, answer, program
from .damage import inflated, members_of, packed, pieced, put_together
from .forge import Forge, Json, Keys, deflate

Items = list[tuple[Member, bytes]]


@dataclass(frozen=True)
class Applied:
    """What one of them says of a delta: its findings, and what came of it, if anything."""

    answer: Answer
    gives: bytes | None


def ours(base: Path, delta: Path, options: Options = Options()) -> Applied:
    """What comes of a delta by the Python implementation."""
    with tempfile.TemporaryDirectory(dir=delta.parent) as folder:
        out = Path(folder, "out")
        report = apply(base, [delta], out, options)
        codes = report.findings.codes
        return Applied(answer(report.accepted, codes, {}, True), out.read_bytes() if out.exists() else None)


def theirs(base: Path, delta: Path, options: Options = Options()) -> Applied:
    """What comes of it by the Rust program."""
    with tempfile.TemporaryDirectory(dir=delta.parent) as folder:
        out = Path(folder, "out")
        command = [str(program()), "--json", "apply", str(base), str(delta), "--output", str(out)]
        if options.trusted is not None:
            command += ["--signed-by", options.trusted]
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
        if done.returncode not in (0, 1):
            raise RuntimeError(f"{' '.join(command)} exits with {done.returncode}: {done.stderr.decode()}")
        report = json.loads(done.stdout)
        if report["accepted"] != (done.returncode == 0):
            raise RuntimeError(f"{' '.join(command)} exits with {done.returncode} and says {report['accepted']}")
        codes = {finding["code"] for finding in report.get("findings", ())}
        return Applied(answer(report["accepted"], codes, {}, True), out.read_bytes() if out.exists() else None)


def pair(chance: random.Random, keys: Keys, number: int) -> tuple[bytes, bytes]:
    """An archive and a later one: some of the payload as it was, changed, gone, moved, packed otherwise; or another."""
    before = servers.server(chance)
    after = dict(before) if chance.random() < 0.8 else servers.server(chance)
    for path in list(after):
        match chance.randrange(8):
            case 0 if path.startswith("data/unknown/"):
                after[path] += b"more"
            case 1 if path.startswith("data/unknown/"):
                del after[path]
            case 2:
                after[f"data/copy/{len(after)}"] = after[path]
            case 3 if path.startswith("data/unknown/"):
                after[f"data/again/{len(after)}"] = after.pop(path)
            case _:
                pass
    after |= {f"data/new/{item}": chance.randbytes(chance.randint(0, 200)) for item in range(chance.randint(0, 3))}
    # What both have in one content may be packed by one writer and not by the other.
    stored = frozenset(path for path in after if chance.random() < 0.2)
    archives = []
    for which, payload in ((0, before), (1, after)):
        named = {"archiveId": f"urn:uuid:01940000-0000-7000-8000-{2 * number + which:012x}", "x-number": [1.5, {"n": number}]}
        forge = Forge(payload, pcc=lambda value, named=named: value.update(named), stored=stored if which else frozenset())
        content = forge.archive(keys)
        archives.append(pieced_archive(content, chance) if chance.random() < 0.3 else content)
    return archives[0], archives[1]


def pieced_archive(archive: bytes, chance: random.Random) -> bytes:
    """The same archive with other DEFLATE streams, where that gives something."""
    items = []
    for member, stored in members_of(archive):
        if member.method != STORED and chance.random() < 0.5:
            content = inflated(member, stored)
            other = packed(member, content, pieced)
            if len(other[1]) < len(content) <= 100 * len(other[1]):
                member, stored = other
        items.append((member, stored))
    return put_together(items)


class Forged:
    """A delta taken apart, to be put together again with a signature that holds."""

    def __init__(self, delta: bytes) -> None:
        self.tags: dict[str, bytes] = {}
        self.payload: Items = []
        for member, stored in members_of(delta):
            if member.name.startswith(b"data/"):
                self.payload.append((member, stored))
            else:
                self.tags[member.name.decode("ascii")] = stored

    def pcc(self, change: Callable[[Json], object], name: str = "pcc.json") -> None:
        value = json.loads(self.tags[name])
        change(value)
        self.tags[name] = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")

    def lines(self, name: str, change: Callable[[list[bytes]], object]) -> None:
        lines = self.tags[name].split(b"\n")[:-1]
        change(lines)
        self.tags[name] = b"".join(line + b"\n" for line in lines)

    def together(self, keys: Keys) -> bytes:
        listed = {name: hashlib.sha256(self.tags[name]).hexdigest() for name in DELTA_VOUCHED}
        self.tags["tagmanifest-sha256.txt"] = manifest.write(listed)
        self.tags["tagmanifest-sha256.txt.sig"] = keys.sign(self.tags["tagmanifest-sha256.txt"])
        items = [packed_tag(name, self.tags[name]) for name in DELTA_TAG_FILES]
        return put_together(items + sorted(self.payload, key=lambda item: item[0].name))


def packed_tag(name: str, content: bytes) -> tuple[Member, bytes]:
    member, _ = packed(Member(name.encode("ascii"), 0, 0, 0, 0, 0), content, deflate)
    return Member(member.name, STORED, member.crc, len(content), len(content), 0), content


# What `pcc.json` of a delta says, with a value that may be wrong.
VALUES = (None, "", "x", 0, 1, -1, 1.5, 2.0, True, [], {}, 2**53 - 1, "0" * 64, "A" * 64, "urn:uuid:" + "0" * 36)


def changes(delta: bytes, chance: random.Random, keys: Keys, count: int) -> Iterator[tuple[str, bytes]]:
    """Deltas that are vouched for and have one thing wrong, or that only look so."""
    for _ in range(count):
        forged = Forged(delta)
        what = chance.choice(CHANGES)(forged, chance)
        yield what, forged.together(keys)


def of_pcc(forged: Forged, chance: random.Random) -> str:
    """A member of `base` or `full`, or one of those both have."""
    top, name = chance.choice(
        [("base", "archiveId"), ("base", "manifest"), ("full", "bytes"), ("full", "entries"), ("full", "directory"),
         ("", "base"), ("", "full"), ("", "kind"), ("", "archiveId"), ("", "version"), ("", "minReader"), ("", "omitted"),
         ("snapshot", "seq"), ("subject", "domain"), ("base", "x-more"), ("full", "x-more"), ("", "x-more")]
    )  # fmt: skip
    value = chance.choice([*VALUES, "full", "1.1", "2.0"])
    gone = chance.random() < 0.2

    def change(pcc: Json) -> None:
        within = pcc.get(top) if top else pcc
        if not isinstance(within, dict):
            return
        if gone:
            within.pop(name, None)
        else:
            within[name] = value

    forged.pcc(change)
    if chance.random() < 0.3:
        forged.pcc(change, "full/pcc.json")
        return f"{top}.{name} is {'gone' if gone else value!r} in both"
    return f"{top}.{name} is {'gone' if gone else value!r}"


def of_value(forged: Forged, chance: random.Random) -> str:
    """Two spellings of a number or a text that may be equal values."""
    pairs = [("1", "1.0"), ("0", "-0"), ("1e2", "100"), ("1e21", "1E+21"), ('"é"', '"\\u00e9"'), ("true", "1"),
             ("0.1", "1e-1"), ("[]", "{}"), ("null", "false"), ("0.1", "0.10000000000000000001"), ("1e-400", "0"),
             ("9007199254740991", "9007199254740991.0"), ('{"a":1,"b":2}', '{"b":2,"a":1}'), ("[1,2]", "[2,1]"),
             ("1e22", "10000000000000000000000"), ("null", None)]  # fmt: skip
    one, other = chance.choice(pairs)
    for name, spelled in zip(["pcc.json", "full/pcc.json"], [one, other] if chance.random() < 0.5 else [other, one]):
        if spelled is not None:
            text = forged.tags[name].rstrip()
            forged.tags[name] = text[:-1] + b',"x-value":' + spelled.encode() + b"}"
    return f"x-value {one} and {other}"


def of_fetch(forged: Forged, chance: random.Random) -> str:
    """A line of `fetch.txt`."""
    kind = chance.choice(["gone", "twice", "swap", "id", "length", "path", "spelling", "new", "end", "upper"])

    def change(lines: list[bytes]) -> None:
        if not lines:
            return
        at = chance.randrange(len(lines))
        archive_id, length, path = lines[at].split(b" ", 2)
        match kind:
            case "gone":
                del lines[at]
            case "twice":
                lines.insert(at, lines[at])
            case "swap":
                other = chance.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
            case "id":
                other_id = chance.choice([b"https://example.org/x", b"", archive_id[:-1], b"-", b"\xff", b"a\tb", archive_id + b"0"])
                lines[at] = b" ".join([other_id, length, path])
            case "length":
                number = int(length)
                other_length = chance.choice(
                    [str(number + 1), f"0{number}", f"+{number}", "-1", "", "-", str(2**53), str(2**63), str(2**64 - 1), str(2**64), f"{number}.0", "٣"]
                )
                lines[at] = b" ".join([archive_id, other_length.encode(), path])
            case "path":
                other_path = chance.choice(
                    [b"data/../x", b"data/zz", b"pcc.json", b"data/", b"/x", path + b" ", b" " + path, b"data/\xff", path + b"\r", path.upper(), b""]
                )
                lines[at] = b" ".join([archive_id, length, other_path])
            case "spelling":
                lines[at] = lines[at].replace(b" ", chance.choice([b"  ", b"\t", b"\r "]), chance.choice([1, 2]))
            case "new":
                lines.insert(chance.randint(0, len(lines)), b" ".join([archive_id, b"0", b"data/zzz"]))
            case "upper":
                lines[at] = b" ".join([archive_id.upper(), length, path])
            case _:
                lines.insert(chance.randint(0, len(lines)), b"")

    forged.lines("fetch.txt", change)
    return f"fetch.txt {kind}: {forged.tags['fetch.txt'][:400]!r}"


def of_manifest(forged: Forged, chance: random.Random) -> str:
    """A line of the manifest, which is then not the full archive's."""
    kind = chance.choice(["gone", "swap", "new", "digest"])

    def change(lines: list[bytes]) -> None:
        if not lines:
            return
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        if kind == "gone":
            del lines[at]
        elif kind == "swap":
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == "new":
            lines.append(b"0" * 64 + b"  data/zzz")
        else:
            lines[at] = lines[other][:64] + lines[at][64:]

    forged.lines("manifest-sha256.txt", change)
    return f"manifest {kind}"


def of_payload(forged: Forged, chance: random.Random) -> str:
    """Something carried that should not be, is not, or is other."""
    kind = chance.choice(["gone", "more", "other", "crc", "packed", "taken too"])
    if kind == "more" or not forged.payload:
        name = chance.choice([b"data/zzz", b"data/account.json", b"data/../x", b"data/COPY/1"])
        forged.payload.append((Member(name, STORED, 0, 0, 0, 0), b""))
        return f"carries {name!r}"
    at = chance.randrange(len(forged.payload))
    member, stored = forged.payload[at]
    if kind == "gone":
        del forged.payload[at]
    elif kind == "crc":
        forged.payload[at] = Member(member.name, member.method, member.crc ^ 1, member.length, member.stored, 0), stored
    elif kind == "packed":
        forged.payload[at] = packed(member, inflated(member, stored), pieced)
    elif kind == "taken too":
        archive_id = json.loads(forged.tags["pcc.json"])["base"]["archiveId"].encode()
        line = b" ".join([archive_id, str(member.length).encode(), member.name])
        forged.lines("fetch.txt", lambda lines: (lines.append(line), lines.sort(key=lambda text: text.split(b" ", 2)[2])))
    else:
        content = bytes([stored[0] ^ 1]) + stored[1:] if stored else b"x"
        changed, _ = packed(member, content, deflate)
        forged.payload[at] = Member(member.name, STORED, changed.crc, len(content), len(content), 0), content
    return f"{kind} {member.name!r}"


def of_tag(forged: Forged, chance: random.Random) -> str:
    """A tag file of the delta with a byte more, less or other, or with nothing."""
    name = chance.choice([name for name in DELTA_TAG_FILES if not name.startswith("tagmanifest")])
    content = forged.tags[name]
    at = chance.randrange(len(content)) if content else 0
    changed = chance.choice([b"", content + b"\n", content[:at], content[:at] + b"x" + content[at + 1 :], b"x" * 70_000])
    forged.tags[name] = changed
    return f"{name} of {len(changed)} bytes, other at {at}"


CHANGES: list[Callable[[Forged, random.Random], str]] = [of_pcc, of_pcc, of_value, of_fetch, of_fetch, of_manifest, of_payload, of_tag]
