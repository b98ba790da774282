"""Whole archives: what is sound, one broken archive for each code, writing, unpacking, the command line."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import io
import json
import os
import struct
import subprocess
import tempfile
import unittest
import uuid
import zipfile
from pathlib import Path
from typing import Any

from crosscheck.forge import DID, Forge, Keys, deflate, directory, zip_of
from pcc import age, profile, signature, words, writer
from pcc.__main__ import main
from pcc.check import Options, check
from pcc.profile import Member

APP = "data/apps/org.example.notes/"


def anna() -> dict[str, bytes]:
    """The payload of section 2, with a few more documents."""
    photo = b"not quite a photograph!"
    digest = hashlib.sha256(photo).hexdigest()
    reference = f'{{"$blob":{{"path":"files/Photos/a.jpg","sha256":"{digest}","size":23,"type":"image/jpeg"}}}}'
    listed = {"name": "a.jpg", "path": "files/Photos/a.jpg", "sha256": digest, "size": 23, "type": "image/jpeg"}
    app = {
        "schema": "pcc/app@1",
        "id": "org.example.notes",
        "name": "Notes",
        "version": "1.0.0",
        "runtime": "static",
        "tables": [{"name": "notes", "count": 2, "segments": ["tables/notes/00.ndjson"]}],
    }
    account = {"schema": "pcc/account@1", "id": DID, "handle": "anna.example", "displayName": "Anna"}
    return {
        "data/account.json": writer.pretty(account),
        "data/settings.json": b"{}",
        APP + "app.json": writer.pretty(app),
        APP + "code/index.html": b"<!doctype html>",
        APP + "files.ndjson": json.dumps(listed, separators=(",", ":"), sort_keys=True).encode() + b"\n",
        APP + "files/Photos/a.jpg": photo,
        APP + "tables/notes/00.ndjson": (
            f'{{"_id":"n-1","photo":{reference},"title":"Grüße"}}\n'
            '{"_id":"n-2","n":{"$int":"9007199254740993"}}\n'
        ).encode(),
    }


def counted(value: dict[str, Any]) -> None:
    value["counts"] |= {"apps": 1, "tables": 1, "documents": 2, "files": 1}


class Archives(unittest.TestCase):
    keys: Keys
    folder: tempfile.TemporaryDirectory[str]

    @classmethod
    def setUpClass(cls) -> None:
        cls.keys = Keys()
        cls.folder = tempfile.TemporaryDirectory(prefix="pcc-tests-")

    @classmethod
    def tearDownClass(cls) -> None:
        cls.keys.close()
        cls.folder.cleanup()

    def path(self, content: bytes) -> Path:
        handle, name = tempfile.mkstemp(suffix=".pcc.zip", dir=self.folder.name)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        return Path(name)

    def codes(self, content: bytes, options: Options | None = None) -> list[str]:
        return check(self.path(content), options or Options(trusted=self.keys.public)).findings.codes

    def forged(self, change: Any = None, **more: Any) -> list[str]:
        payload = anna()
        if change is not None:
            change(payload)
        return self.codes(Forge(payload, **({"pcc": counted} | more)).archive(self.keys))


class Sound(Archives):
    def test_the_example_is_accepted(self) -> None:
        self.assertEqual(self.forged(), [])

    def test_without_a_key_it_says_so(self) -> None:
        content = Forge(anna(), pcc=counted).archive(self.keys)
        self.assertEqual(self.codes(content, Options()), ["signature.unchecked"])

    def test_another_key_is_not_trusted(self) -> None:
        other = Keys()
        self.addCleanup(other.close)
        content = Forge(anna(), pcc=counted).archive(other)
        self.assertEqual(self.codes(content), ["signature.untrusted"])

    def test_a_folder_is_checked_as_the_zip_is(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in Forge(anna(), pcc=counted).entries(self.keys):
                full = Path(folder, name)
                full.parent.mkdir(parents=True, exist_ok=True)
                full.write_bytes(content)
            Path(folder, "data", "empty").mkdir()
            options = Options(trusted=self.keys.public)
            self.assertEqual(check(Path(folder), options).findings.codes, [])
            Path(folder, "data", "link").symlink_to("/etc")
            self.assertEqual(check(Path(folder), options).findings.codes, ["directory.link"])

    def test_rooms(self) -> None:
        content = Forge(anna(), pcc=counted).archive(self.keys)
        self.assertEqual(self.codes(content, Options(self.keys.public, max_entries=14)), ["limit.entries"])
        self.assertEqual(self.codes(content, Options(self.keys.public, quota=100)), ["limit.quota"])


class Broken(Archives):
    def test_every_breach_of_content_has_its_code(self) -> None:
        def put(path: str, content: bytes) -> Any:
            return lambda payload: payload.__setitem__(path, content)

        def swap(path: str, old: bytes, new: bytes) -> Any:
            def change(payload: dict[str, bytes]) -> None:
                assert old in payload[path]
                payload[path] = payload[path].replace(old, new)

            return change

        def members(path: str, name: str, value: object) -> Any:
            def change(payload: dict[str, bytes]) -> None:
                payload[path] = writer.pretty(json.loads(payload[path]) | {name: value})

            return change

        segment = APP + "tables/notes/00.ndjson"
        for code, change in (
            ("doc.json", put("data/settings.json", b"{")),
            ("doc.invalid", put("data/settings.json", b"[]")),
            ("doc.invalid", put("data/settings.json", b'{"schema":"pcc/settings@2"}')),
            ("doc.invalid", members("data/account.json", "schema", "pcc/account@2")),
            ("doc.invalid", members("data/account.json", "displayName", None)),
            ("doc.invalid", members(APP + "app.json", "id", "org.example.other")),
            ("doc.segments", swap(APP + "app.json", b'"count": 2', b'"count": 3')),
            ("doc.segments", put(APP + "tables/notes/01.ndjson", b'{"_id":"o"}\n')),
            ("doc.segments", put(APP + "tables/notes/01.ndjson", b"")),
            ("doc.files", put(APP + "files/b", b"")),
            ("doc.files", lambda payload: payload.__delitem__(APP + "files.ndjson")),
            ("doc.files", swap(APP + "files.ndjson", b'"size":23', b'"size":24')),
            ("row.invalid", swap(segment, b'"_id":"n-2"', b'"id":"n-2"')),
            ("row.invalid", swap(segment, b"3\"}}\n", b"3\"}}")),
            ("row.order", swap(segment, b"n-2", b"n-1")),
            ("row.blob", swap(segment, b'"size":23', b'"size":24')),
            ("pcc.counts", put("data/apps/org.example.b/app.json", json.dumps(dict(
                schema="pcc/app@1", id="org.example.b", name="b", version="1", runtime="static")).encode())),
            ("pcc.secrets", put("data/identity/keys.secret.jwks.json.age", b"age-encryption.org/v2\n")),
            ("limit.document", put("data/settings.json", b" " * words.MAX_DOCUMENT + b"{}")),
            ("path.invalid", put("data/con.txt", b"")),
            ("path.collision", put("data/Account.json", b"")),
            ("import.grants", put("data/permissions.ndjson", b'{"actions":[],"grantee":1,"grantor":"","id":"",'
                                  b'"resource":1,"schema":"pcc/permission@1"}\n')),
        ):
            with self.subTest(code=code):
                self.assertIn(code, self.forged(change))

    def test_every_breach_of_pcc_json_has_its_code(self) -> None:
        def setting(*names: str, to: object) -> Any:
            def change(value: dict[str, Any]) -> None:
                counted(value)
                at = value
                for name in names[:-1]:
                    at = at[name]
                at[names[-1]] = to

            return change

        for code, change in (
            ("pcc.format", setting("format", to="zip")),
            ("pcc.unreadable", setting("format", to=1)),
            ("pcc.min-reader", setting("minReader", to="1.1")),
            ("pcc.format", setting("minReader", to="01.0")),
            ("pcc.format", setting("version", to="0.9")),
            ("pcc.format", setting("archiveId", to="urn:uuid:01920000-0000-7000-8000-00000000000A")),
            ("pcc.delta", setting("kind", to="delta")),
            ("pcc.format", setting("kind", to="half")),
            ("pcc.format", setting("base", to={})),
            ("pcc.format", setting("subject", "domain", to="")),
            ("pcc.unreadable", setting("subject", to=None)),
            ("pcc.format", setting("snapshot", "at", to="2026-11-21T07:00:60Z")),
            ("pcc.format", setting("snapshot", "at", to="2026-02-29T07:00:00Z")),
            ("pcc.unreadable", setting("snapshot", "seq", to=-1)),
            ("pcc.unreadable", setting("snapshot", "seq", to=1.0)),
            ("pcc.unreadable", setting("source", "origin", to=None)),
            ("pcc.bytes", setting("counts", "bytes", to=1)),
            ("pcc.unreadable", setting("counts", "apps", to=True)),
            ("pcc.secrets", setting("secrets", "files", to=["data/account.json"])),
            ("pcc.format", setting("secrets", "unlock", to=["guess"])),
            ("pcc.unreadable", setting("omitted", to=None)),
            ("pcc.format", setting("omitted", to=[{"what": "", "why": "x"}])),
        ):
            with self.subTest(code=code):
                self.assertEqual(self.forged(pcc=change), [code])

    def test_every_breach_of_the_bag_has_its_code(self) -> None:
        digest = "0" * 64
        for code, more in (
            ("bag.declaration", {"tags": {"bagit.txt": b"BagIt-Version: 0.97\n"}}),
            ("bag.info", {"tags": {"bag-info.txt": b""}}),
            ("bag.profile", {"tags": {"bagit-profile.json": b"[]"}}),
            ("bag.tag-file-missing", {"tags": {"START-HERE.html": None}}),
            ("bag.tag-file-too-long", {"tags": {"bagit.txt": b"x" * 65537}}),
            ("bag.tag-digest", {"late": {"START-HERE.html": b"other"}}),
            ("bag.missing", {"listed": lambda digests: digests.update({"data/zzz": digest})}),
            ("bag.unlisted", {"listed": lambda digests: digests.__delitem__("data/account.json")}),
            ("bag.digest", {"listed": lambda digests: digests.update({"data/account.json": digest})}),
            ("signature.wrong", {"tags": {"tagmanifest-sha256.txt.sig": b""}}),
            ("pcc.unreadable", {"tags": {"pcc.json": b"{"}}),
        ):
            with self.subTest(code=code):
                self.assertIn(code, self.forged(**more))

    def test_every_breach_of_the_zip_has_its_code(self) -> None:
        forge = Forge(anna(), pcc=counted)
        sound = forge.archive(self.keys)
        entries = [(name.encode(), content, False) for name, content in forge.entries(self.keys)]
        end = len(sound) - 22
        place = struct.unpack_from("<I", sound, end + 16)[0]

        def patch(at: int, piece: bytes) -> bytes:
            return sound[:at] + piece + sound[at + len(piece) :]

        for code, content in (
            ("zip.end-missing", sound[:-1]),
            ("zip.end-missing", b""),
            ("zip.trailing", sound + b"\0"),
            ("zip.end", patch(end + 4, b"\1")),
            ("zip.end", patch(end + 12, b"\0")),
            ("zip.directory", patch(place, b"X")),
            ("zip.flags", patch(place + 8, b"\0\0")),
            ("zip.method", patch(place + 10, b"\x0c")),
            ("zip.mode", patch(place + 41, b"\xed")),
            ("zip.header", patch(place + 12, b"\1")),
            ("zip.local", patch(6, b"\1")),
            ("zip.gap", patch(place + 42, b"\1")),
            ("zip.order", zip_of([entries[1], entries[0], *entries[2:]])),
            ("path.unexpected", zip_of([*entries, (b"other.txt", b"", False)])),
            ("bag.fetch", zip_of([*entries, (b"fetch.txt", b"", False)])),
            ("path.duplicate", zip_of([*entries, entries[-1]])),
            ("path.invalid", zip_of([*entries, (b"data/\xff", b"", False)])),
            ("entry.crc", patch(place - 1, b"~")),
        ):
            with self.subTest(code=code):
                self.assertIn(code, self.codes(content))

    def test_bombs_are_not_unpacked(self) -> None:
        bomb = self.deflated(b"\0" * 1_000_000, 1_000_000)
        self.assertIn("limit.ratio", self.codes(bomb))
        self.assertIn("entry.deflate", self.codes(self.deflated(b"\0" * 1_000_000, 5_000)))
        self.assertIn("entry.deflate", self.codes(self.deflated(os.urandom(50) * 20, 1_001)))

    def deflated(self, content: bytes, says: int) -> bytes:
        packed = deflate(content)
        member = Member(b"data/settings.json", profile.DEFLATED, 0, says, len(packed), 0)
        raw = profile.local_header(member) + packed
        return raw + directory([member], len(raw))

    def test_a_signature_with_another_hash_is_refused(self) -> None:
        content = b"x"
        command = ["ssh-keygen", "-q", "-Y", "sign", "-n", words.NAMESPACE, "-f", str(self.keys.private)]
        for option in (["-O", "hashalg=sha256"], ["-n", "file"]):
            made = subprocess.run(command + option, input=content, capture_output=True, check=True, timeout=60)
            with self.assertRaises(signature.SignatureError):
                signature.verify(content, made.stdout)
        self.assertEqual(signature.verify(content, self.keys.sign(content)).line, self.keys.public.rsplit(" ", 1)[0])


class Written(Archives):
    def write(self, out: Path, payload: dict[str, bytes]) -> None:
        about = writer.About.like(
            Forge(payload).own_pcc(0) | {"x-own": [1]}, datetime.datetime.now(datetime.UTC), uuid.uuid4()
        )
        contents = [writer.Content(path, writer.text(content)) for path, content in payload.items()]
        writer.create(out, contents, about, self.keys.private, "2026-11-21")

    def test_what_is_written_is_sound_and_stock_tools_read_it(self) -> None:
        out = Path(self.folder.name, "written.pcc.zip")
        self.write(out, anna())
        report = check(out, Options(trusted=self.keys.public))
        self.assertEqual(list(report.findings), [])
        self.assertEqual(report.pcc["x-own"], [1])
        with zipfile.ZipFile(out) as stock:
            self.assertIsNone(stock.testzip())
            self.assertEqual(stock.read("data/account.json"), anna()["data/account.json"])
        with self.assertRaises(FileExistsError):
            self.write(out, anna())

    def test_names_that_would_be_refused_are_not_written(self) -> None:
        out = Path(self.folder.name, "refused.pcc.zip")
        for name in ("data/con", "x", "data/ACCOUNT.json", "data/apps/x/app.json"):
            with self.assertRaises(writer.WriteError):
                self.write(out, anna() | {name: b""})
        self.assertFalse(out.exists())

    def test_numbers_that_do_not_fit_stand_in_extra_fields(self) -> None:
        member = Member(b"data/x", 0, 1, 2**32, 2**32, 2**32 + 5)
        self.assertEqual(len(profile.local_header(member)), 30 + 6 + 20)
        self.assertEqual(len(profile.central_header(member)), 46 + 6 + 28)
        far = Member(b"data/x", 0, 1, 5, 5, 2**32 - 1)
        self.assertEqual(profile.local_header(far)[4:6], b"\x14\x00")
        self.assertEqual(profile.central_header(far)[4:8], b"\x2d\x03\x2d\x00")
        self.assertEqual(len(profile.end_records(0xFFFF, 0, 0)), 56 + 20 + 22)

    def test_more_entries_than_16_bits_count(self) -> None:
        many = zip_of((b"data/%05d" % number, b"", False) for number in range(66_000))
        report = check(self.path(many))
        self.assertEqual(len(report.entries), 66_000)
        self.assertFalse([code for code in report.findings.codes if code.startswith("zip.")])

    def test_sealed_files(self) -> None:
        key = Path(self.folder.name, "age.key")
        subprocess.run(["age-keygen", "-o", str(key)], capture_output=True, check=True, timeout=60)
        recipient = key.read_text().split("public key: ")[1].split("\n")[0]
        sealed = age.seal(b"secret", [recipient])
        self.assertTrue(age.is_sealed(sealed))
        self.assertEqual(age.unseal(sealed, key), b"secret")
        path = "data/identity/keys.secret.jwks.json.age"
        self.assertEqual(self.forged(lambda payload: payload.update({path: sealed})), [])


class Commands(Archives):
    def run_main(self, *arguments: object) -> tuple[int, str]:
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
            code = main([str(argument) for argument in arguments])
        return code, out.getvalue()

    def test_a_round_trip(self) -> None:
        top = Path(tempfile.mkdtemp(dir=self.folder.name))
        first = self.path(Forge(anna(), pcc=counted).archive(self.keys))
        self.assertEqual(self.run_main("extract", first, top / "out")[0], 0)
        self.assertEqual(self.run_main("extract", first, top / "out")[0], 1)
        self.assertEqual(self.run_main("create", top / "out", top / "b.zip", "--sign", self.keys.private)[0], 0)
        self.assertEqual(self.run_main("diff", first, top / "b.zip"), (0, ""))
        (top / "out" / "data" / "settings.json").write_bytes(b'{"a":1}')
        self.assertEqual(self.run_main("create", top / "out", top / "c.zip", "--sign", self.keys.private)[0], 0)
        self.assertEqual(self.run_main("diff", first, top / "c.zip"), (1, "~ data/settings.json\n"))
        code, listing = self.run_main("list", first)
        self.assertEqual((code, len(listing.splitlines())), (0, 15))

    def test_whole_encryption(self) -> None:
        top = Path(tempfile.mkdtemp(dir=self.folder.name))
        archive = self.path(Forge(anna(), pcc=counted).archive(self.keys))
        key, phrase, other = top / "key", top / "phrase", top / "other"
        subprocess.run(["age-keygen", "-o", str(key)], capture_output=True, check=True, timeout=60)
        recipient = key.read_text().split("public key: ")[1].split("\n")[0]
        phrase.write_text("correct horse battery staple\n")
        ways = [(["--recipient", recipient], ["--identity", key])]
        if "FREEHOLD_SLOW" in os.environ:
            # `age` makes each guess at a passphrase take seconds, and many of them where there is other work.
            ways.append((["--passphrase-file", phrase], ["--passphrase-file", phrase]))
        for sealing, opening in ways:
            sealed = top / f"{sealing[0]}.pcc.zip.age"
            self.assertEqual(self.run_main("encrypt", archive, sealed, *sealing)[0], 0)
            self.assertEqual(self.run_main("check", sealed)[0], 1)
            self.assertEqual(self.run_main("decrypt", sealed, top / f"{sealing[0]}.zip", *opening)[0], 0)
            self.assertEqual((top / f"{sealing[0]}.zip").read_bytes(), archive.read_bytes())
            content = sealed.read_bytes()
            for broken in (content[:-1], content + b"x", content[:-20] + b"x" + content[-19:]):
                sealed.write_bytes(broken)
                self.assertEqual(self.run_main("decrypt", sealed, top / "broken.zip", *opening)[0], 1)
            self.assertFalse((top / "broken.zip").exists())
        sealed.write_bytes(content)
        subprocess.run(["age-keygen", "-o", str(other)], capture_output=True, check=True, timeout=60)
        self.assertEqual(self.run_main("decrypt", sealed, top / "wrong.zip", "--identity", other)[0], 1)

    def test_exit_codes(self) -> None:
        broken = self.path(b"no archive")
        code, text = self.run_main("check", "--json", broken)
        self.assertEqual((code, json.loads(text)["findings"][0]["code"]), (1, "zip.end-missing"))
        self.assertEqual(self.run_main("check", broken.with_suffix(".none"))[0], 3)
        top = Path(tempfile.mkdtemp(dir=self.folder.name))
        self.assertEqual(self.run_main("extract", broken, top / "out")[0], 1)
        self.assertFalse((top / "out").exists())
        with self.assertRaises(SystemExit) as wrong:
            self.run_main("check")
        self.assertEqual(wrong.exception.code, 2)


if __name__ == "__main__":
    unittest.main()
