"""Deltas (10): what one takes, what comes of it, and one broken delta for each code."""

from __future__ import annotations

import contextlib
import io
import json
import random
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path

from crosscheck import deltas
from crosscheck.deltas import Forged
from crosscheck.forge import Forge, Json, Keys
from pcc import deltawriter
from pcc.__main__ import main
from pcc.apply import apply
from pcc.check import Options, check
from pcc.delta import equal

BASE = {"data/account.json": b'{"schema":"pcc/account@1","id":"did:web:a.example","handle":"a","displayName":"A"}',
        "data/x/1": b"one", "data/x/2": b"two", "data/x/3": b"three"}  # fmt: skip
NEW = BASE | {"data/x/2": b"three", "data/x/4": b"four", "data/x/5": b"one"}
del NEW["data/x/3"]


class Deltas(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="pcc-tests-")
        self.addCleanup(folder.cleanup)
        self.top = Path(folder.name)
        self.keys = Keys()
        self.addCleanup(self.keys.close)
        self.base, self.new = (self.archive(name, payload) for name, payload in (("1", BASE), ("2", NEW)))
        self.delta = self.top / "delta"
        self.assertTrue(deltawriter.make(self.base, self.new, self.delta, self.keys.private).accepted)

    def archive(self, number: str, payload: dict[str, bytes], **more: object) -> Path:
        path = self.top / f"archive-{number}"
        named = {"archiveId": "urn:uuid:01950000-0000-7000-8000-00000000000" + number}
        path.write_bytes(Forge(payload, pcc=lambda value: value.update(named), **more).archive(self.keys))
        return path

    def codes(self, change: Callable[[Forged], object], base: Path | None = None) -> list[str]:
        """The reasons for which a delta is refused that has been changed and vouched for again."""
        forged = Forged(self.delta.read_bytes())
        change(forged)
        changed = self.top / "changed"
        changed.write_bytes(forged.together(self.keys))
        out = self.top / "refused"
        report = apply(base or self.base, [changed], out, Options(trusted=self.keys.public))
        self.assertEqual(out.exists(), report.accepted)
        return report.findings.codes

    def test_what_comes_is_the_later_archive(self) -> None:
        out = self.top / "out"
        self.assertEqual(apply(self.base, [self.delta], out, Options(trusted=self.keys.public)).findings.codes, [])
        self.assertEqual(out.read_bytes(), self.new.read_bytes())

    def test_it_carries_only_what_the_base_has_not(self) -> None:
        carried = [member.name for member, _ in Forged(self.delta.read_bytes()).payload]
        self.assertEqual(carried, [b"data/x/4"])

    def test_it_carries_what_is_packed_otherwise(self) -> None:
        settings = {"data/settings.json": b'{"a":"' + b"abc" * 200 + b'"}'}
        base = self.archive("3", settings)
        new = self.archive("4", settings, stored=frozenset(settings))
        delta, out = self.top / "otherwise", self.top / "out"
        deltawriter.make(base, new, delta)
        self.assertEqual(len(Forged(delta.read_bytes()).payload), 1)
        self.assertTrue(apply(base, [delta], out).accepted)
        self.assertEqual(out.read_bytes(), new.read_bytes())

    def test_alone_it_is_refused(self) -> None:
        self.assertIn("pcc.delta", check(self.delta).findings.codes)

    def test_a_full_archive_is_no_delta(self) -> None:
        self.assertEqual(apply(self.base, [self.new], self.top / "out").findings.codes, ["delta.full"])

    def test_another_base(self) -> None:
        self.assertEqual(self.codes(lambda forged: None, self.new), ["delta.base"])
        self.assertIn("pcc.delta", self.codes(lambda forged: None, self.delta))

    def test_each_code(self) -> None:
        def pcc(change: Callable[[Json], object], name: str = "pcc.json") -> Callable[[Forged], object]:
            return lambda forged: forged.pcc(change, name)

        def fetch(change: Callable[[list[bytes]], object]) -> Callable[[Forged], object]:
            return lambda forged: forged.lines("fetch.txt", change)

        def both(name: str, value: object) -> Callable[[Forged], object]:
            return lambda forged: [forged.pcc(lambda said: said.update({name: value}), file) for file in ("pcc.json", "full/pcc.json")]

        for code, change in (
            ("delta.pcc", pcc(lambda value: value.pop("base"))),
            ("delta.pcc", pcc(lambda value: value["full"].update(bytes=-1))),
            ("delta.pcc", pcc(lambda value: value.update(more=1))),
            ("delta.pcc", pcc(lambda value: value["snapshot"].update(seq=8), "full/pcc.json")),
            ("delta.result", pcc(lambda value: value["full"].update(bytes=1))),
            ("limit.entries", pcc(lambda value: value["full"].update(entries=2**40))),
            ("pcc.min-reader", both("minReader", "2.0")),
            ("delta.fetch", fetch(lambda lines: lines.append(b""))),
            ("delta.fetch", fetch(lambda lines: lines.reverse())),
            ("delta.elsewhere", fetch(lambda lines: lines.__setitem__(0, b"http://a.example" + lines[0][lines[0].index(b" ") :]))),
            ("bag.missing", fetch(lambda lines: lines.pop())),
            ("bag.missing", lambda forged: forged.payload.clear()),
            ("bag.unlisted", lambda forged: forged.lines("manifest-sha256.txt", lambda lines: lines.pop())),
            ("delta.twice", fetch(lambda lines: lines.insert(3, lines[0].split(b" ")[0] + b" 4 data/x/4"))),
            ("delta.lacking", fetch(lambda lines: lines.__setitem__(-1, lines[-1].replace(b" 3 ", b" 4 ")))),
            ("bag.tag-file-too-long", lambda forged: forged.tags.update({"bagit.txt": b"x" * 70_000})),
        ):
            with self.subTest(code):
                self.assertIn(code, self.codes(change))

    def test_changed_content_of_the_base(self) -> None:
        damaged = self.top / "damaged"
        damaged.write_bytes(self.base.read_bytes().replace(b"one", b"ONE"))
        self.assertEqual(self.codes(lambda forged: None, damaged), ["bag.digest", "entry.crc"])

    def test_equal_values(self) -> None:
        self.assertTrue(equal({"a": [1, 1.0]}, {"a": [1.0, 1]}))
        for left, right in ((1, True), (0, False), ([1], [1, 2]), ({}, []), ({"a": 1}, {"b": 1}), (None, False)):
            self.assertFalse(equal(left, right))

    def test_random_pairs(self) -> None:
        chance = random.Random(5)
        for number in range(4):
            base, new, delta, out = (self.top / f"{number}-{name}" for name in ("base", "new", "delta", "out"))
            for path, content in zip((base, new), deltas.pair(chance, self.keys, number)):
                path.write_bytes(content)
            self.assertTrue(deltawriter.make(base, new, delta).accepted)
            self.assertTrue(apply(base, [delta], out).accepted)
            self.assertEqual(out.read_bytes(), new.read_bytes())

    def test_commands(self) -> None:
        delta, out = str(self.top / "d"), str(self.top / "o")
        self.assertEqual(main(["delta", str(self.base), str(self.new), delta]), 0)
        self.assertEqual(main(["apply", str(self.base), delta, "--output", out]), 0)
        self.assertEqual(main(["apply", str(self.base), delta, "--output", out]), 1)
        self.assertEqual(main(["apply", str(self.top / "none"), delta, "--output", out]), 3)

    def test_a_chain(self) -> None:
        """Of three deltas, in their order alone; and what the command tells a program (10.11)."""
        archives = [self.base, self.new, self.archive("3", BASE | {"data/y": b"y"}), self.archive("4", NEW)]
        chain = [self.top / f"step-{number}" for number in range(3)]
        for before, after, delta in zip(archives, archives[1:], chain):
            self.assertTrue(deltawriter.make(before, after, delta).accepted)
        out = self.top / "out"
        for wrong in ([chain[1], chain[0], chain[2]], chain[:1] + chain[2:]):
            self.assertEqual(apply(self.base, wrong, out).findings.codes, ["delta.base"])
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            code = main(["apply", "--json", str(self.base), *map(str, chain), "-o", str(out)])
        self.assertEqual((code, out.read_bytes()), (0, archives[-1].read_bytes()))
        said = json.loads(told.getvalue())
        self.assertEqual((said["accepted"], said["bytes"]), (True, out.stat().st_size))
        self.assertTrue(said["signedBy"].startswith("ssh-ed25519 "), said)
        with contextlib.redirect_stdout(told := io.StringIO()):
            self.assertEqual(main(["apply", "--json", str(self.new), *map(str, chain), "-o", str(self.top / "no")]), 1)
        self.assertEqual(json.loads(told.getvalue())["findings"][0]["code"], "delta.base")
        self.assertEqual(sorted(path.name for path in self.top.glob(".pcc-*")), [])

    def test_headers_of_a_payload(self) -> None:
        """Those of a delta are judged, those of a base are not (10.2, 10.6)."""
        def other(path: Path, header: bytes) -> Path:
            content = bytearray(path.read_bytes())
            content[content.index(header) + 5] ^= 1
            changed = self.top / "changed"
            changed.write_bytes(content)
            return changed

        out = self.top / "out"
        self.assertEqual(apply(self.base, [other(self.delta, b"data/x/4four")], out).findings.codes, ["zip.local"])
        self.assertTrue(apply(other(self.base, b"data/x/1one"), [self.delta], out).accepted)


if __name__ == "__main__":
    unittest.main()
