"""Random servers are sound, come back whole, and show any damage. The seed is printed with a failure."""

from __future__ import annotations

import os
import random
import tempfile
import unittest
from pathlib import Path

from crosscheck import damage, servers
from crosscheck.forge import Forge, Keys
from pcc import rows
from pcc.check import Options, check
from pcc.extract import extract

SEED = int(os.environ.get("FREEHOLD_SEED", random.SystemRandom().getrandbits(32)))


class RandomServers(unittest.TestCase):
    def setUp(self) -> None:
        self.keys = Keys()
        self.addCleanup(self.keys.close)
        folder = tempfile.TemporaryDirectory(prefix="pcc-random-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.options = Options(trusted=self.keys.public)

    def test_servers_are_sound_and_come_back_whole(self) -> None:
        for number in range(5):
            with self.subTest(seed=SEED, number=number):
                payload = servers.server(random.Random(f"{SEED} {number}"))
                path = self.folder / "server.pcc.zip"
                path.write_bytes(Forge(payload).archive(self.keys))
                back = self.folder / f"back-{number}"
                report = extract(path, back, self.options)
                self.assertEqual(report.findings.refusals, [])
                found = {
                    full.relative_to(back).as_posix(): full.read_bytes()
                    for full in back.rglob("*")
                    if full.is_file() and full.relative_to(back).parts[0] == "data"
                }
                self.assertEqual(found, payload)

    def test_no_damage_goes_unseen(self) -> None:
        chance = random.Random(SEED)
        archive = Forge(servers.server(chance)).archive(self.keys)
        path = self.folder / "damaged.pcc.zip"
        for what, content in damage.bytes_changed(archive, chance, 80):
            path.write_bytes(content)
            if content != archive and check(path, self.options).accepted:
                # Only the last bits of a DEFLATE stream mean nothing (3.4).
                self.assertTrue(what.startswith(("bit", "more")) or " is " in what, f"{what}, seed {SEED}")
                self.assertEqual(len(content), len(archive), f"{what}, seed {SEED}")

    def test_rows_come_back(self) -> None:
        chance = random.Random(SEED)
        for _ in range(300):
            line = rows.write(servers.row(chance))
            self.assertEqual(rows.write(rows.unescape(rows.read(line[:-1]).members)), line, f"seed {SEED}")


if __name__ == "__main__":
    unittest.main()
