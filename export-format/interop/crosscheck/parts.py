"""The parts of a cross-check, and how answers are compared."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import io
import json
import math
import os
import random
import shutil
import subprocess
import tempfile
import time
import uuid
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pcc import age, deltawriter, writer
from pcc.__main__ import main as pcc_main
from pcc.check import Options, check
from pcc.extract import extract
from pcc.names import why_invalid
from pcc.words import DEFAULT_MAX_ENTRIES

from . import damage, deltas, questions, servers, signatures
from .both import SECONDS, Answer, ours, program, theirs
from .forge import Forge, Keys
from .questions import Question

T = TypeVar("T")

MOST_PRINTED = 25

# Codes that a reader may tell besides, because of another that both tell (7.1).
FOLLOWING = {
    "bag.tag-file-too-long": {"bag.tag-file-missing"},
    "bag.tag-file-missing": {"bag.tag-unlisted"},
    "bag.tag-unlisted": {"bag.tag-digest", "bag.manifest-order"},
    "bag.manifest-line": {"bag.tag-unlisted", "bag.unlisted", "bag.missing"},
    "bag.manifest-order": {"bag.digest", "bag.tag-digest", "bag.tag-unlisted"},
    "doc.json": {"doc.invalid"},
}


class Cross:
    """One run: where archives are put, how many questions were asked, and where the two disagreed."""

    def __init__(self, folder: Path, size: int, vectors: Iterable[Path]) -> None:
        self.folder = folder
        self.size = size
        self.vectors = list(vectors)
        self.keys = Keys()
        self.asked = 0
        self.until = math.inf
        self.disagreements: list[str] = []

    def over(self) -> bool:
        """Whether the time of this part is up. What remains is asked in longer runs, and with other seeds."""
        return time.monotonic() > self.until

    def in_time(self, items: Iterable[T]) -> Iterator[T]:
        """These, for as long as there is time."""
        for item in items:
            if self.over():
                print("  cut off for time", flush=True)
                return
            yield item

    def close(self) -> None:
        self.keys.close()

    def disagree(self, text: str) -> None:
        self.disagreements.append(text)
        kind = text.partition(" ")[0]
        if sum(other.startswith(kind) for other in self.disagreements) <= MOST_PRINTED:
            print("DISAGREE", text, flush=True)

    def both(self, content: bytes, options: Options = Options()) -> tuple[Answer, Answer]:
        path = self.folder / "question.pcc.zip"
        path.write_bytes(content)
        return ours(path, options), theirs(path, options)

    def whole(self, label: str, content: bytes, options: Options = Options()) -> None:
        """Asks about one archive; the answers must be the same."""
        self.asked += 1
        left, right = self.both(content, options)
        following = {code for first in left.codes & right.codes for code in FOLLOWING.get(first, ())}
        if left.accepted != right.accepted or left.codes - following != right.codes - following:
            self.disagree(f"{label}: {said(left.codes, right.codes)}")

    def damaged(self, label: str, content: bytes) -> None:
        """Asks about one that has something wrong: both refuse it, for a reason that both name, or both take it.

        One breach leads to others, of which a reader may tell some and not others (7.1).
        """
        self.asked += 1
        left, right = self.both(content)
        if left.accepted != right.accepted or not (left.accepted or left.refusals & right.refusals):
            self.disagree(f"damaged ({label}): {said(left.codes, right.codes)}")
            if keep := os.environ.get("CROSS_KEEP"):
                Path(keep, f"{len(self.disagreements)}.pcc.zip").write_bytes(content)

    @contextlib.contextmanager
    def vector(self, folder: Path, vector: dict[str, Any]) -> Iterator[Path]:
        """Where a vector can be checked: its file, or a folder that it is unpacked into as it is."""
        path = folder / vector["file"]
        if vector.get("form") != "folder":
            yield path
            return
        with tempfile.TemporaryDirectory(dir=self.folder) as unpacked:
            unpack_as_it_is(path, Path(unpacked))
            yield Path(unpacked)

    def each(self, label: str, questions_of: Iterable[Question], at_once: int = 60) -> None:
        """Asks many questions an archive, each by the entry it stands in."""
        for some in self.in_time(batched(questions_of, at_once)):
            left, right = self.both(Forge({question.path: question.content for question in some}).archive(self.keys))
            self.asked += len(some)
            if not (left.complete and right.complete):
                self.disagree(f"{label}: too many findings to compare, at {some[0].path}")
            for question in some:
                a = left.by_path.get(question.path, frozenset())
                b = right.by_path.get(question.path, frozenset())
                if a != b:
                    self.disagree(f"{label} {question.path} {question.content[:200]!r}: {said(a, b)}")


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """As `itertools.batched` of later Pythons."""
    some: list[T] = []
    for item in items:
        some.append(item)
        if len(some) == size:
            yield some
            some = []
    if some:
        yield some


def mixed(items: Iterable[T], chance: random.Random) -> list[T]:
    """These in an order of chance, so that runs that are cut off ask different things."""
    all_of_them = list(items)
    chance.shuffle(all_of_them)
    return all_of_them


def unpack_as_it_is(path: Path, into: Path) -> None:
    """Unpacks our own vector, wrong as it may be; links in it become links."""
    with zipfile.ZipFile(path) as archive:
        for item in archive.infolist():
            full = into / item.filename
            full.parent.mkdir(parents=True, exist_ok=True)
            if item.external_attr >> 28 == 0xA:
                full.symlink_to(archive.read(item).decode())
            elif item.is_dir():
                full.mkdir(exist_ok=True)
            else:
                full.write_bytes(archive.read(item))


def run(*arguments: str) -> None:
    """Has `freehold-archive` do something that must succeed."""
    done = subprocess.run([str(program()), *arguments], capture_output=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"freehold-archive {' '.join(arguments)}: {done.stderr.decode('utf-8', 'replace')}")


def said(left: frozenset[str], right: frozenset[str]) -> str:
    return f"Python {sorted(left - right)}, Rust {sorted(right - left)}, both {sorted(left & right)}"


def documents(cross: Cross, chance: random.Random) -> None:
    cross.each("document", questions.documents(chance, 400 * cross.size))


def rows(cross: Cross, chance: random.Random) -> None:
    cross.each("row", questions.lines(chance, 600 * cross.size))


def members(cross: Cross, chance: random.Random) -> None:
    cross.each("member", questions.member_rows(chance))
    for question in cross.in_time(mixed([*questions.single_documents(chance), *questions.permissions(chance)], chance)):
        content = Forge({question.path: question.content}).archive(cross.keys)
        cross.whole(f"{question.path} {question.content[:300]!r}", content)


def apps(cross: Cross, chance: random.Random) -> None:
    for payload in cross.in_time(mixed(questions.apps(chance), chance)):
        shown = {path: content[:250] for path, content in payload.items()}
        cross.whole(f"app {shown}", Forge(payload).archive(cross.keys))


def names(cross: Cross, chance: random.Random) -> None:
    """Paths, each beneath a folder of its own; and pairs that may be one."""
    singles = enumerate(mixed(questions.single_names(chance, 400 * cross.size), chance))
    for some in cross.in_time(batched(singles, 60)):
        paths = {number: f"data/{number:05}x/{name}" for number, name in some}
        left, right = cross.both(Forge(dict.fromkeys(paths.values(), b"")).archive(cross.keys))
        cross.asked += len(paths)
        for number, path in paths.items():
            # What the manifest says of names it cannot have is not the question here.
            a, b = (told(answer, "path.invalid", f"data/{number:05}x/") for answer in (left, right))
            if a != b:
                cross.disagree(f"name {ascii(path)}: wrong to Python {a} ({why_invalid(path)}), to Rust {b}")
    for some in cross.in_time(batched(enumerate(questions.pairs(chance, 600 * cross.size)), 60)):
        payload = {f"data/{number:05}x/{name}": b"" for number, pair in some for name in pair}
        left, right = cross.both(Forge(payload).archive(cross.keys))
        cross.asked += len(some)
        for number, pair in some:
            a, b = (told(answer, "path.collision", f"data/{number:05}x/") for answer in (left, right))
            if a != b:
                cross.disagree(f"pair {ascii(pair)}: one to Python {a}, to Rust {b}")


def told(answer: Answer, code: str, prefix: str) -> bool:
    """Whether a code is told of an entry beneath a folder; programs print strange names in ways of their own."""
    return any(code in codes for path, codes in answer.by_path.items() if path.startswith(prefix))


def tags(cross: Cross, chance: random.Random) -> None:
    for number, forge in cross.in_time(mixed(enumerate(questions.tag_files()), chance)):
        own = Forge(forge.payload).own_tags()
        made = dict(forge.own_tags()) | forge.tags | forge.late
        changed = {name: content and content[:1200] for name, content in made.items() if own.get(name) != content}
        cross.whole(f"tag files {number} {changed}", forge.archive(cross.keys))


def signed(cross: Cross, chance: random.Random) -> None:
    """Signatures that are almost right, with the key trusted and with none."""
    payload = {"data/settings.json": b"{}"}
    own = dict(Forge(payload).entries(cross.keys))
    variants = signatures.variants(own["tagmanifest-sha256.txt"], cross.keys.private, own["tagmanifest-sha256.txt.sig"])
    for named, armoured in cross.in_time(mixed(variants, chance)):
        content = Forge(payload, tags={"tagmanifest-sha256.txt.sig": armoured}).archive(cross.keys)
        cross.whole(f"signature {named}: {armoured!r}", content)
        cross.whole(f"signature {named} (trusted): {armoured!r}", content, Options(trusted=cross.keys.public))


def damaged(cross: Cross, chance: random.Random) -> None:
    """Sound archives with one thing wrong."""
    for _ in range(3 * cross.size):
        archive = Forge(servers.server(chance)).archive(cross.keys)
        changes = [*damage.bytes_changed(archive, chance, 60), *damage.structure_changed(archive, chance, 60)]
        for what, content in cross.in_time(mixed(changes, chance)):
            cross.damaged(what, content)


def servers_both_ways(cross: Cross, chance: random.Random) -> None:
    """What either writes the other accepts, and writes again with the same payload (8.3)."""
    for number in cross.in_time(range(12 * cross.size)):
        cross.asked += 1
        payload = servers.server(chance)
        top = cross.folder / f"server-{number}"
        top.mkdir()
        trusted = Options(trusted=cross.keys.public)
        first, again, last = (top / f"{name}.pcc.zip" for name in ("first", "again", "last"))
        contents = [writer.Content(path, writer.text(content)) for path, content in payload.items()]
        said_before = Forge(payload).own_pcc(0) | {"x-unknown": [number]}
        said_before["subject"] = said_before["subject"] | {"x-person": number}
        about = writer.About.like(said_before, NOW, uuid.UUID(int=number))
        writer.create(first, contents, about, cross.keys.private, "2026-11-21", deflate=chance.random() < 0.7)
        ours_first, theirs_first = ours(first, trusted), theirs(first, trusted)
        if not ours_first.accepted or ours_first != theirs_first:
            cross.disagree(f"server {number}, written by Python: {said(ours_first.codes, theirs_first.codes)}")
            continue
        run("extract", "--into", str(top / "out"), str(first))
        run("create", "--key", str(cross.keys.private), "--output", str(again), str(top / "out"))
        ours_again, theirs_again = ours(again, trusted), theirs(again, trusted)
        if not ours_again.accepted or ours_again != theirs_again:
            cross.disagree(f"server {number}, written by Rust: {said(ours_again.codes, theirs_again.codes)}")
            continue
        report = extract(again, top / "back", trusted)
        contents = writer.from_folder(top / "back")
        about = writer.About.like(report.pcc, NOW, uuid.UUID(int=number + 1))
        writer.create(last, contents, about, cross.keys.private, "2026-11-21")
        manifests = [check(path, trusted).manifest for path in (first, again, last)]
        if not manifests[0] == manifests[1] == manifests[2]:
            cross.disagree(f"server {number}: its payload manifest changes on the way")
        if (report.pcc.get("x-unknown"), report.pcc["subject"].get("x-person")) != ([number], number):
            cross.disagree(f"server {number}: an unknown member of pcc.json is lost on the way")
        shutil.rmtree(top)


def deltas_both_ways(cross: Cross, chance: random.Random) -> None:
    """What either makes of two archives the other applies to the very bytes; what is damaged both refuse."""
    for number in cross.in_time(range(12 * cross.size)):
        first, second = deltas.pair(chance, cross.keys, number)
        base, new, mine, yours = (cross.folder / f"{name}.pcc.zip" for name in ("base", "new", "mine", "yours"))
        for path, content in ((base, first), (new, second)):
            path.write_bytes(content)
        for path in (mine, yours):
            path.unlink(missing_ok=True)
        cross.asked += 1
        report = deltawriter.make(base, new, mine, cross.keys.private)
        if not report.accepted:
            cross.disagree(f"delta {number}: Python makes none: {report.findings.codes}")
            continue
        run("delta", str(base), str(new), "--output", str(yours), "--key", str(cross.keys.private))
        for maker, delta in (("Python", mine), ("Rust", yours)):
            for who, apply in (("Python", deltas.ours), ("Rust", deltas.theirs)):
                applied = apply(base, delta, Options(trusted=cross.keys.public))
                if applied.gives != second:
                    cross.disagree(f"delta {number} by {maker}: to {who} {sorted(applied.answer.codes)}, or other bytes")
        taken = [deltas.Forged(path.read_bytes()).tags["fetch.txt"] for path in (mine, yours)]
        if taken[0] != taken[1]:
            cross.disagree(f"delta {number}: Python takes {taken[0]!r}, Rust {taken[1]!r}")
        delta = chance.choice([mine, yours]).read_bytes()
        changes = [
            *((what, first, content) for what, content in deltas.changes(delta, chance, cross.keys, 25)),
            *((what, first, content) for what, content in damage.bytes_changed(delta, chance, 6)),
            *((what, first, content) for what, content in damage.structure_changed(delta, chance, 6)),
            *((f"base: {what}", content, delta) for what, content in damage.bytes_changed(first, chance, 4)),
            *((f"base: {what}", content, delta) for what, content in damage.structure_changed(first, chance, 4)),
            ("another base", second, delta),
            ("the base as delta", first, first),
            ("the delta as base", delta, delta),
        ]
        for what, base_content, content in cross.in_time(mixed(changes, chance)):
            cross.asked += 1
            base.write_bytes(base_content)
            mine.write_bytes(content)
            left, right = deltas.ours(base, mine), deltas.theirs(base, mine)
            told = said(left.answer.codes, right.answer.codes)
            if left.gives != right.gives or left.answer.accepted != (left.gives is not None):
                cross.disagree(f"delta {number} ({what}): {told}")
            elif left.gives is None and not left.answer.refusals & right.answer.refusals:
                cross.disagree(f"delta {number} ({what}): for different reasons: {told}")


def sealed(cross: Cross, chance: random.Random) -> None:
    """Archives encrypted as a whole: the vectors; what either seals the other opens; what is damaged neither does."""
    top = Path(__file__).resolve().parents[2] / "vectors"
    listed = json.loads((top / "index.json").read_text("utf-8"))
    identity = cross.folder / "identity"
    identity.write_text(listed["identity"] + "\n", "ascii")
    for vector in listed["sealed"]:
        cross.asked += 1
        for who, unseal in SEALS.items():
            gives, codes = opened(unseal.open, top / vector["file"], identity, cross.folder)
            if vector["gives"] not in (None, gives) or not set(vector["codes"]) <= codes or bool(codes) == vector["valid"]:
                cross.disagree(f"vector {vector['name']}: {who} says {sorted(codes)} and gives {gives}")
    recipient = age.command(["age-keygen", "-y", str(identity)]).decode("ascii").strip()
    phrase = cross.folder / "phrase"
    phrase.write_text("correct horse battery staple\n", "ascii")
    plain, wrapped = cross.folder / "plain", cross.folder / "sealed"
    for number in cross.in_time(range(8 * cross.size)):
        # Lengths at which a chunk is full, and any others; a passphrase takes seconds.
        length = chance.choice([0, 1, 65535, 65536, 65537, 131072, chance.randrange(300_000)])
        plain.write_bytes(chance.randbytes(length))
        digest = hashlib.sha256(plain.read_bytes()).hexdigest()
        with_phrase = cross.size > 1 and number % 8 == 0
        for maker, seals in SEALS.items():
            cross.asked += 1
            wrapped.unlink(missing_ok=True)
            how = ["--passphrase-file", str(phrase)] if with_phrase else ["--recipient", recipient]
            seals.seal(plain, wrapped, how)
            for who, unseals in SEALS.items():
                gives, _ = opened(unseals.open, wrapped, phrase if with_phrase else identity, cross.folder)
                if gives != digest:
                    cross.disagree(f"sealed {number}: {length} bytes, by {maker}, are others to {who}")
            if with_phrase:
                continue
            content = wrapped.read_bytes()
            for _ in range(2):
                cross.asked += 1
                at = chance.choice([chance.randrange(len(content)), chance.randrange(220), len(content) - 1]) % len(content)
                changed = bytes([content[at] ^ 1 << chance.randrange(8)])
                what, more = chance.choice([("cut", b""), ("other", changed + content[at + 1 :]), ("more", changed + content[at:])])
                wrapped.write_bytes(content[:at] + more)
                found = [opened(unseals.open, wrapped, identity, cross.folder)[0] for unseals in SEALS.values()]
                if found[0] != found[1]:
                    cross.disagree(f"sealed {number}: {length} bytes, {what} at {at}: opened by one alone")


@dataclass(frozen=True)
class Seal:
    """How one of the two seals and opens."""

    seal: Callable[[Path, Path, list[str]], None]
    open: Callable[[Path, Path, list[str]], bool]


def seal_ours(source: Path, out: Path, how: list[str]) -> None:
    if pcc_main(["encrypt", str(source), str(out), *how]) != 0:
        raise RuntimeError("Python does not seal")


def open_ours(source: Path, out: Path, how: list[str]) -> bool:
    with contextlib.redirect_stderr(io.StringIO()):
        return pcc_main(["decrypt", str(source), str(out), *how]) == 0


def seal_theirs(source: Path, out: Path, how: list[str]) -> None:
    run("encrypt", str(source), "--output", str(out), *how)


def open_theirs(source: Path, out: Path, how: list[str]) -> bool:
    command = [str(program()), "decrypt", str(source), "--output", str(out), *how]
    done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{' '.join(command)} exits with {done.returncode}: {done.stderr.decode()}")
    return done.returncode == 0


SEALS = {"Python": Seal(seal_ours, open_ours), "Rust": Seal(seal_theirs, open_theirs)}


def opened(
    unseal: Callable[[Path, Path, list[str]], bool], source: Path, key: Path, folder: Path
) -> tuple[str | None, frozenset[str]]:
    """The digest of what is inside, and for what it is refused: `io` where it does not open."""
    out = folder / "opened"
    out.unlink(missing_ok=True)
    if not unseal(source, out, ["--passphrase-file" if key.name == "phrase" else "--identity", str(key)]):
        return None, frozenset({"io"})
    return hashlib.sha256(out.read_bytes()).hexdigest(), ours(out).refusals


NOW = datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC)


def vectors(cross: Cross, chance: random.Random) -> None:
    """The vectors of section 15: the verdict and the codes that the index says, from both."""
    top = Path(__file__).resolve().parents[2]
    for folder in [top / "vectors", *cross.vectors]:
        index = folder / "index.json"
        if not index.is_file():
            continue
        listed = json.loads(index.read_text("utf-8"))
        for vector in cross.in_time(mixed([*listed["vectors"], *listed.get("deltas", ())], chance)):
            if "base" in vector:
                delta_vector(cross, folder, vector, Options(trusted=vector.get("trust", listed.get("trust"))))
                continue
            cross.asked += 1
            with cross.vector(folder, vector) as path:
                limits = vector.get("limits") or {}
                options = Options(
                    trusted=vector.get("trust", listed.get("trust")),
                    max_entries=limits.get("entries", DEFAULT_MAX_ENTRIES),
                    quota=limits.get("bytes"),
                )
                expected = frozenset(vector["codes"]) | frozenset(vector.get("warnings", ()))
                left, right = ours(path, options), theirs(path, options)
                asked = {"Python": left, "Rust": right}
                if "limit.entries" in expected:
                    del asked["Rust"]  # There is no option by which the program could be told that limit.
                for who, answer in asked.items():
                    if answer.accepted != vector["valid"] or not expected <= answer.codes:
                        cross.disagree(f"vector {vector['name']}: {who} says {sorted(answer.codes)}, not {sorted(expected)}")


def delta_vector(cross: Cross, folder: Path, vector: dict[str, Any], options: Options) -> None:
    """A delta of section 15: what comes of it, or the codes for which it is refused."""
    cross.asked += 1
    for who, apply in (("Python", deltas.ours), ("Rust", deltas.theirs)):
        applied = apply(folder / vector["base"], folder / vector["file"], options)
        gives = None if applied.gives is None else hashlib.sha256(applied.gives).hexdigest()
        codes = applied.answer.codes
        if gives != vector["gives"] or applied.answer.accepted != vector["valid"] or not set(vector["codes"]) <= codes:
            cross.disagree(f"vector {vector['name']}: {who} says {sorted(codes)} and gives {gives}")


# Each part, with its share of the time.
PARTS: dict[str, tuple[Callable[[Cross, random.Random], None], float]] = {
    "vectors": (vectors, 0.45),
    "servers": (servers_both_ways, 0.1),
    "documents": (documents, 0.05),
    "rows": (rows, 0.1),
    "names": (names, 0.1),
    "members": (members, 0.1),
    "apps": (apps, 0.05),
    "tags": (tags, 0.05),
    "signed": (signed, 0.05),
    "damaged": (damaged, 0.1),
    "deltas": (deltas_both_ways, 0.15),
    "sealed": (sealed, 0.05),
}
