"""The command line: `python3 -m pcc check|list|extract|create|delta|apply|encrypt|decrypt|diff`. It exits as clause 7.7 says."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import uuid
from pathlib import Path
from typing import Any

from . import deltawriter, whole, writer
from .age import AgeError
from .apply import apply
from .check import Options, Report, check
from .compare import differences
from .extract import ExtractError, extract
from .signature import SignatureError
from .words import DEFAULT_MAX_ENTRIES

ACCEPTED, REFUSED, CALLED_WRONGLY, NOTHING_TO_READ = 0, 1, 2, 3


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except (FileNotFoundError, PermissionError) as error:
        print(error, file=sys.stderr)
        return NOTHING_TO_READ
    except (writer.WriteError, ExtractError, AgeError, SignatureError, FileExistsError) as error:
        print(error, file=sys.stderr)
        return REFUSED


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="pcc", description="Reads and writes personal server archives.")
    commands = top.add_subparsers(required=True)

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    def limits(made: argparse.ArgumentParser) -> None:
        made.add_argument("--signed-by", metavar="KEY", help="the trusted key: `ssh-ed25519 …`, or a file with it")
        made.add_argument("--max-entries", type=int, default=DEFAULT_MAX_ENTRIES, help="at most so many entries")
        made.add_argument("--max-bytes", type=int, help="room for so many bytes of payload")

    made = command("check", run_check, "Says everything that is wrong with an archive or a folder.")
    made.add_argument("archive", type=Path)
    made.add_argument("--json", action="store_true", help="the findings as one JSON object")
    limits(made)

    made = command("list", run_list, "Lists the entries of an archive that is sound.")
    made.add_argument("archive", type=Path)
    limits(made)

    made = command("extract", run_extract, "Checks an archive, then unpacks it into a new or empty folder.")
    made.add_argument("archive", type=Path)
    made.add_argument("into", type=Path)
    limits(made)

    made = command("create", run_create, "Makes an archive of an unpacked one's `data` and `pcc.json`.")
    made.add_argument("folder", type=Path)
    made.add_argument("archive", type=Path)
    made.add_argument("--sign", type=Path, required=True, metavar="KEY", help="private ed25519 key of OpenSSH")
    made.add_argument("--stored", action="store_true", help="deflates nothing")

    made = command("delta", run_delta, "Makes a delta: what of an archive one lacks who has an earlier one.")
    made.add_argument("base", type=Path)
    made.add_argument("new", type=Path)
    made.add_argument("delta", type=Path)
    made.add_argument("--sign", type=Path, metavar="KEY", help="private key; without one, a key is made for it alone")
    limits(made)

    made = command("apply", run_apply, "Makes the archive that deltas lead to, of the one that the first builds on.")
    made.add_argument("base", type=Path)
    made.add_argument("deltas", type=Path, nargs="+", metavar="delta", help="in their order")
    made.add_argument("--output", "-o", type=Path, required=True, metavar="ARCHIVE")
    made.add_argument("--json", action="store_true", help="what came of it, or the findings, as one JSON object")
    limits(made)

    made = command("encrypt", run_encrypt, "Wraps an archive as one age file.")
    made.add_argument("archive", type=Path)
    made.add_argument("sealed", type=Path)
    how = made.add_mutually_exclusive_group(required=True)
    how.add_argument("--recipient", action="append", help="age1… or an SSH public key; may be given several times")
    how.add_argument("--passphrase-file", type=Path, help="a file with a passphrase on its first line")

    made = command("decrypt", run_decrypt, "Opens an archive that was wrapped as one age file.")
    made.add_argument("sealed", type=Path)
    made.add_argument("archive", type=Path)
    how = made.add_mutually_exclusive_group(required=True)
    how.add_argument("--identity", type=Path, help="a file with an age identity or an SSH private key")
    how.add_argument("--passphrase-file", type=Path, help="a file with the passphrase on its first line")

    made = command("diff", run_diff, "Compares the payloads of two archives; exits with 1 where they differ.")
    made.add_argument("left", type=Path)
    made.add_argument("right", type=Path)
    return top


def checked(path: Path, options: argparse.Namespace) -> Report:
    if path.is_file() and whole.is_whole_sealed(path):
        print(f"{path} is encrypted as a whole: open it first, with `decrypt`", file=sys.stderr)
    path.stat()
    return check(path, limits_of(options))


def limits_of(options: argparse.Namespace) -> Options:
    key = options.signed_by
    if key is not None and not key.startswith("ssh-ed25519 "):
        key = Path(key).read_text("utf-8")
    return Options(key, options.max_entries, options.max_bytes)


def run_check(options: argparse.Namespace) -> int:
    report = checked(options.archive, options)
    if options.json:
        print(json.dumps(report.as_json(), ensure_ascii=False, indent=2))
    else:
        for finding in report.findings:
            print(finding)
        if report.findings.unlisted:
            print(f"and {report.findings.unlisted} more of these kinds")
        print("accepted" if report.accepted else "refused")
    return ACCEPTED if report.accepted else REFUSED


def run_list(options: argparse.Namespace) -> int:
    report = checked(options.archive, options)
    for entry in report.entries:
        print(f"{entry.length:>12}  {entry.path}")
    return refused(report)


def run_extract(options: argparse.Namespace) -> int:
    options.archive.stat()
    return refused(extract(options.archive, options.into, limits_of(options)))


def refused(report: Report) -> int:
    """Tells on the side why an archive was refused."""
    if report.accepted:
        return ACCEPTED
    for finding in report.findings:
        print(finding, file=sys.stderr)
    return REFUSED


def run_create(options: argparse.Namespace) -> int:
    now = datetime.datetime.now(datetime.UTC)
    pcc = json.loads((options.folder / "pcc.json").read_bytes())
    about = writer.About.like(pcc, now, uuid.uuid4())
    contents = writer.from_folder(options.folder)
    writer.create(options.archive, contents, about, options.sign, now.strftime("%Y-%m-%d"), not options.stored)
    return ACCEPTED


def run_delta(options: argparse.Namespace) -> int:
    for path in (options.base, options.new):
        path.stat()
    return refused(deltawriter.make(options.base, options.new, options.delta, options.sign, limits_of(options)))


def run_apply(options: argparse.Namespace) -> int:
    for path in (options.base, *options.deltas):
        path.stat()
    report = apply(options.base, options.deltas, options.output, limits_of(options))
    if not options.json:
        return refused(report)
    if not report.accepted:
        print(json.dumps(report.as_json(), ensure_ascii=False, indent=2))
        return REFUSED
    made = {
        "accepted": True,
        "bytes": options.output.stat().st_size,
        "entries": len(report.entries),
        "archiveId": report.pcc["archiveId"],
        "signedBy": report.signer.line if report.signer else None,
    }
    print(json.dumps(made, ensure_ascii=False, indent=2))
    return ACCEPTED


def run_encrypt(options: argparse.Namespace) -> int:
    options.archive.stat()
    whole.seal(options.archive, options.sealed, options.recipient or [], passphrase_of(options))
    return ACCEPTED


def run_decrypt(options: argparse.Namespace) -> int:
    options.sealed.stat()
    whole.unseal(options.sealed, options.archive, options.identity, passphrase_of(options))
    return ACCEPTED


def passphrase_of(options: argparse.Namespace) -> str | None:
    if options.passphrase_file is None:
        return None
    return options.passphrase_file.read_text("utf-8").partition("\n")[0]


def run_diff(options: argparse.Namespace) -> int:
    sides = []
    for path in (options.left, options.right):
        path.stat()
        report = check(path, Options())
        if refused(report):
            return REFUSED
        sides.append(report.manifest)
    same = True
    for sign, path in differences(*sides):
        same = False
        print(sign, path)
    return ACCEPTED if same else REFUSED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
