"""Names, JSON, rows and lines: each rule by an example that keeps it and one that breaks it."""

from __future__ import annotations

import struct
import unittest

from pcc import jcs, manifest, names, rows
from pcc.findings import Findings
from pcc.places import Holds, place
from pcc.strictjson import JsonError, parse


class Names(unittest.TestCase):
    def test_paths_that_are_allowed(self) -> None:
        for path in ("data/a", "data/.a", "data/é", "data/COM", "data/COM10", "data/a b", "a/" * 89 + "ab"):
            self.assertIsNone(names.why_invalid(path), path)

    def test_paths_that_are_not(self) -> None:
        wrong = ["", "/a", "a/", "a//b", ".", "a/../b", "a./b", "a /b", " a", "\u3000a", "e\u0301", "a:b", "a\\b"]
        wrong += ["a%b", "a\x7f", "a\x85b", "a\u2028b", "CON", "con.txt", "CON .txt", "LpT\u00b9", "conin$", "a" * 181]
        wrong += ["\U00010000" * 64, "a\udcffb"]
        for path in wrong:
            self.assertIsNotNone(names.why_invalid(path), ascii(path))

    def test_folding_as_clause_4_5_lists_it(self) -> None:
        for folded, *spellings in (
            ("strasse", "Straße", "STRASSE", "STRA\u1e9eE"),
            ("s", "\u017f", "S"),
            ("\u03c3", "\u03a3", "\u03c3", "\u03c2"),
            ("i\u0307", "\u0130", "i\u0307"),
            ("i", "\u0131", "I", "i"),
            ("k", "\u212a", "k"),
            ("\u02bcn", "\u0149", "\u02bcN"),
            ("fi", "\ufb01", "FI"),
        ):
            for spelling in spellings:
                self.assertEqual(names.fold(spelling), folded, spelling)

    def test_clashes_see_folders(self) -> None:
        found = [code for code, _, _ in names.clashes(["a/x", "A/y", "b", "b/c", "d", "d"])]
        self.assertEqual(found, ["path.collision", "path.collision", "path.duplicate"])
        self.assertEqual(list(names.clashes(["a/x", "a/y", "ab", "a.b"])), [])

    def test_app_ids(self) -> None:
        for good in ("org.example.notes", "a.b.c", "org.1.a-b"):
            self.assertTrue(names.is_app_id(good), good)
        for bad in ("org.example", "1rg.a.b", "org.-a.b", "org.a-.b", "Org.a.b", "org..a.b", "org.a.b." + "c" * 30):
            self.assertFalse(names.is_app_id(bad), bad)


class Json(unittest.TestCase):
    def test_what_has_one_meaning(self) -> None:
        for text in ("5.0", "-0", "1e21", "9007199254740991", '"\\ud83d\\ude00"', "[" * 64 + "]" * 64, " \t\r\n1 "):
            parse(text.encode())

    def test_what_has_not(self) -> None:
        wrong = ["", "1 2", "01", "NaN", "Infinity", "1e999", "1e16", "9007199254740992", "9007199254740992.5"]
        wrong += ['"\\ud800"', '["\\udc00"]', '{"a":["\\ud800"]}', '{"a":1,"\\u0061":2}', "\ufeff1", "[1,]", '"\t"']
        wrong += ["[" * 65 + "]" * 65, "[" * 100_000, "\u00a01"]
        for text in wrong:
            with self.assertRaises(JsonError, msg=ascii(text[:40])):
                parse(text.encode())
        with self.assertRaises(JsonError):
            parse(b'"\xff"')


class Numbers(unittest.TestCase):
    def test_the_table_of_6_5(self) -> None:
        for value, text in (
            (5.0, "5"),
            (-0.0, "0"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (0.000001, "0.000001"),
            (0.0000001, "1e-7"),
            (1424953923781206.25, "1424953923781206.2"),
            (5e-324, "5e-324"),
            (0.1 + 0.2, "0.30000000000000004"),
            (-123.456, "-123.456"),
        ):
            self.assertEqual(jcs.number(value), text)

    def test_the_samples_of_rfc_8785(self) -> None:
        for bits, text in (
            ("7fefffffffffffff", "1.7976931348623157e+308"),
            ("4340000000000000", "9007199254740992"),
            ("4430000000000000", "295147905179352830000"),
            ("44b52d02c7e14af5", "9.999999999999997e+22"),
            ("44b52d02c7e14af7", "1.0000000000000001e+23"),
            ("444b1ae4d6e2ef4e", "999999999999999700000"),
            ("444b1ae4d6e2ef50", "1e+21"),
            ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
            ("41b3de4355555553", "333333333.3333332"),
            ("becbf647612f3696", "-0.0000033333333333333333"),
        ):
            (value,) = struct.unpack(">d", bytes.fromhex(bits))
            self.assertEqual(jcs.number(value), text)


class Rows(unittest.TestCase):
    def test_what_is_written_is_read(self) -> None:
        own = {
            "_id": "n-1",
            "$int": 2**53,
            "$$x": [-(10**21) + 1, 10**21, 1e20, 0.5, None, True],
            "b": b"\x00\xff",
            "\ufb33": 1,
            "\U0001f600": 2,
            "text": '\u0000\t"\\\u007f\u2028',
        }
        line = rows.write(own)
        row = rows.read(line[:-1])
        self.assertEqual(row.id, "n-1")
        back = rows.unescape(row.members)
        self.assertEqual(back, own)
        self.assertEqual(rows.write(back), line)
        self.assertLess(line.index("\U0001f600".encode()), line.index("\ufb33".encode()))

    def test_lines_that_are_no_rows(self) -> None:
        wrong = ['{"b":1,"a":2}', '{"a": 1}', '{"a":1.0}', '{"a":-0}', '{"a":1e16}', '{"a":"\\/"}', '{"a":"\\u0009"}']
        wrong += ['{"$int":"9007199254740993"}', '{"a":{"$int":"5"}}', '{"a":{"$int":"09007199254740993"}}', "[]"]
        wrong += ['{"a":{"$int":"1000000000000000000000"}}', '{"a":{"$bytes":"AB=="}}', '{"a":{"$x":1}}', '{"$":1}', ""]
        wrong += ['{"a":{"$blob":{"path":"../x","sha256":"' + "0" * 64 + '","size":0,"type":""}}}', '{"a":1}\r']
        for line in wrong:
            with self.assertRaises(rows.RowError, msg=line):
                rows.read(line.encode())

    def test_lines_are_cut_without_being_kept(self) -> None:
        lines = rows.Lines()
        cut = [line for piece in (b"a", b"b\nc\n", b"x" * 5_000_000, b"y\n", b"z") for line in lines.feed(piece)]
        self.assertEqual(cut, [b"ab", b"c", None])
        self.assertTrue(lines.unfinished)


class Lines(unittest.TestCase):
    def codes(self, content: bytes) -> list[str]:
        findings = Findings()
        manifest.read("m", content, findings)
        return findings.codes

    def test_manifests(self) -> None:
        digest = b"0" * 64
        self.assertEqual(self.codes(digest + b"  data/a\n" + digest + b"  data/b\n"), [])
        self.assertEqual(self.codes(b""), [])
        for wrong in (b"A" * 64 + b"  data/a\n", digest + b" *data/a\n", digest + b"  ./a\n", b"\n", digest + b"  a"):
            self.assertEqual(self.codes(wrong), ["bag.manifest-line"], wrong)
        self.assertEqual(self.codes(digest + b"  b\n" + digest + b"  a\n"), ["bag.manifest-order"])
        self.assertEqual(self.codes(digest + b"  a\n" + digest + b"  a\n"), ["bag.manifest-order"])

    def test_bag_info(self) -> None:
        good = {label: "x" for label in manifest.REQUIRED_INFO} | {"Bagging-Date": "2024-02-29", "Payload-Oxum": "0.0"}

        def codes(content: bytes) -> list[str]:
            findings = Findings()
            manifest.read_info(content, findings)
            return findings.codes

        content = manifest.write_info(good.items())
        self.assertEqual(codes(content + b"Other: a: b\n"), [])
        for wrong in (
            content[:-1],
            content + b"bagging-date: 2024-02-29\n",
            content + b" folded\n",
            content + b"a:b\n",
            content + b"a:  b\n",
            content + b"a: b \n",
            content + b"\n",
            content.replace(b"02-29", b"02-30"),
            b"\xef\xbb\xbf" + content,
        ):
            self.assertEqual(codes(wrong), ["bag.info"], wrong)


class Places(unittest.TestCase):
    def test_what_entries_hold(self) -> None:
        for path, holds in (
            ("data/account.json", Holds.ACCOUNT),
            ("data/messages/a/b.json", Holds.JSON),
            ("data/messages/a/b.JSON", Holds.ANYTHING),
            ("data/identity/keys.secret.jwks.json.age", Holds.SEALED),
            ("data/apps/a.b.c/files/x.age", Holds.FILE),
            ("data/apps/a.b.c/code/app.json", Holds.ANYTHING),
            ("data/apps/a.b.c/files.01.ndjson", Holds.FILES),
            ("data/apps/a.b.c/files.00.ndjson", Holds.ANYTHING),
            ("data/apps/a.b.c/tables/t/any.ndjson", Holds.SEGMENT),
            ("data/apps/a.b.c/tables/t/u/any.ndjson", Holds.ANYTHING),
            ("data/apps/a.b.c/tables/t.schema.json", Holds.JSON),
            ("data/providers/p/log.12.ndjson", Holds.LOG),
            ("data/files/x.json", Holds.ANYTHING),
        ):
            self.assertEqual(place(path).holds, holds, path)


if __name__ == "__main__":
    unittest.main()
