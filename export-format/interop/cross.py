"""Holds the two implementations against each other: `python3 cross.py [--seed N] [--size N] [PART …]`.

Everything random comes from one seed, which is printed. A disagreement is printed with what it takes to see it again, and
the exit code is 1. `freehold-archive` is taken from FREEHOLD_BIN_DIR or the target folder.
"""

from __future__ import annotations

import argparse
import random
import secrets
import sys
import tempfile
import time
from pathlib import Path

from crosscheck import parts
from crosscheck.both import program
from crosscheck.parts import Cross


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help="of " + ", ".join(parts.PARTS))
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--size", type=int, default=1, help="how many times as many random questions as in a short run")
    parser.add_argument("--seconds", type=float, help="to take about so long, and leave out what takes longer")
    parser.add_argument("--vectors", type=Path, action="append", default=[], help="another folder with an index.json")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - parts.PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    print(f"seed {options.seed}, {program()}")
    with tempfile.TemporaryDirectory(prefix="pcc-cross-") as folder:
        cross = Cross(Path(folder), options.size, options.vectors)
        for name, (part, share) in parts.PARTS.items():
            if options.parts and name not in options.parts:
                continue
            began = time.monotonic()
            asked = cross.asked
            if options.seconds is not None:
                cross.until = began + share * options.seconds
            # Each part has a chance of its own, so that a part alone asks what it asks in a whole run.
            part(cross, random.Random(f"{options.seed} {name}"))
            print(f"{name}: {cross.asked - asked} asked in {time.monotonic() - began:.1f} s", flush=True)
        cross.close()
    print(f"{cross.asked} asked, {len(cross.disagreements)} disagreements")
    return 1 if cross.disagreements else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
