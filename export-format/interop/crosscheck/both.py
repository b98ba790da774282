"""Asking the two readers about one archive, and holding their answers against each other."""

from __future__ import annotations

import json
import os
import subprocess
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from pcc.check import Options, check
from pcc.findings import weight

SECONDS = 120


@dataclass(frozen=True)
class Answer:
    """What one reader says of an archive: whether it takes it, its codes, and the codes by entry."""

    accepted: bool
    codes: frozenset[str]
    by_path: dict[str, frozenset[str]] = field(compare=False)
    complete: bool = field(compare=False, default=True)

    @property
    def refusals(self) -> frozenset[str]:
        return frozenset(code for code in self.codes if weight(code) == "refusal")


def program() -> Path:
    """`freehold-archive`, where the build put it."""
    for folder in filter(None, (os.environ.get("FREEHOLD_BIN_DIR"), _target())):
        found = Path(folder, "freehold-archive")
        if found.is_file():
            return found
    raise SystemExit("freehold-archive is not built: cargo build -p export-format, or set FREEHOLD_BIN_DIR")


def _target() -> str:
    top = Path(__file__).resolve().parents[3]
    return str(Path(os.environ.get("CARGO_TARGET_DIR", top / "target"), "debug"))


def ours(path: Path, options: Options = Options()) -> Answer:
    """What the Python reader says."""
    report = check(path, options)
    by_path: defaultdict[str, set[str]] = defaultdict(set)
    for finding in report.findings:
        by_path[finding.path].add(finding.code)
    return answer(report.accepted, report.findings.codes, by_path, report.findings.unlisted == 0)


def theirs(path: Path, options: Options = Options()) -> Answer:
    """What the Rust program says."""
    command = [str(program()), "check", "--json", str(path)]
    if options.trusted is not None:
        command += ["--signed-by", options.trusted]
    if options.quota is not None:
        command += ["--max-bytes", str(options.quota)]
    done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{' '.join(command)} exits with {done.returncode}: {done.stderr.decode()}")
    report = json.loads(done.stdout)
    if report["accepted"] != (done.returncode == 0):
        raise RuntimeError(f"{' '.join(command)} exits with {done.returncode} and says {report['accepted']}")
    by_path: defaultdict[str, set[str]] = defaultdict(set)
    for finding in report["findings"]:
        by_path[finding.get("path") or ""].add(finding["code"])
    codes = {finding["code"] for finding in report["findings"]}
    return answer(report["accepted"], codes, by_path, report["unlisted"] == 0)


def answer(accepted: bool, codes: object, by_path: dict[str, set[str]], complete: bool) -> Answer:
    return Answer(
        accepted,
        frozenset(codes),  # type: ignore[call-overload]
        {path: frozenset(found) for path, found in by_path.items()},
        complete,
    )
