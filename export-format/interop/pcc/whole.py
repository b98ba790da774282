"""Whole encryption (`….pcc.zip.age`): an archive wrapped as one age file, by the command `age`.

The command reads and writes files itself, so nothing of any length is held here. What comes out is put in place only once
all of it was found authentic: `age` leaves a beginning behind when a file was cut off or changed.
"""

from __future__ import annotations

import os
import pty
import select
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from .age import FIRST_LINE, AgeError, command

SECONDS = 3600

# 11.2: how long a header may be, and how many lines may stand before its last.
MAX_HEADER = 16 * 1024
MAX_HEADER_LINES = 400


def is_whole_sealed(path: Path) -> bool:
    """Whether a file is an age file and not an archive as it is."""
    with path.open("rb") as file:
        return file.read(len(FIRST_LINE)) == FIRST_LINE


def seal(source: Path, out: Path, recipients: list[str], passphrase: str | None) -> None:
    """Encrypts an archive to recipients, or with a passphrase, into a file that is not there yet."""
    if passphrase is not None:
        _in_place(out, lambda made: _typed(["age", "--passphrase", "--output", str(made), str(source)], passphrase))
        return
    arguments = [word for recipient in recipients for word in ("--recipient", recipient)]
    _in_place(out, lambda made: command(["age", "--encrypt", *arguments, "--output", str(made), str(source)]))


def unseal(source: Path, out: Path, identity: Path | None, passphrase: str | None) -> None:
    """Opens a whole-encrypted archive with an identity, or with a passphrase, into a file that is not there yet."""
    if not is_whole_sealed(source):
        raise AgeError(f"{source} is no age file in binary form")  # The command opens armoured ones too (11.1).
    if not _has_bearable_header(source):
        raise AgeError(f"{source} has no header of at most {MAX_HEADER} bytes")  # The command reads longer ones (11.2).
    if passphrase is not None:
        _in_place(out, lambda made: _typed(["age", "--decrypt", "--output", str(made), str(source)], passphrase))
        return
    _in_place(
        out,
        lambda made: command(["age", "--decrypt", "--identity", str(identity), "--output", str(made), str(source)]),
    )


def _has_bearable_header(path: Path) -> bool:
    """Whether the last line of the header, which begins with three hyphens, ends soon enough (11.2)."""
    with path.open("rb") as file:
        beginning = file.read(MAX_HEADER)
    at = beginning.find(b"\n--- ")
    return at >= 0 and b"\n" in beginning[at + 1 :] and beginning.count(b"\n", 0, at) <= MAX_HEADER_LINES


def _in_place(out: Path, make: Callable[[Path], object]) -> None:
    """Has a file made beside its place, and puts it there only when that succeeded."""
    with tempfile.TemporaryDirectory(prefix=".pcc-", dir=out.parent) as folder:
        made = Path(folder, "made")
        made.touch()  # `age` makes no file of nothing.
        make(made)
        os.link(made, out)


def _typed(words: list[str], passphrase: str) -> None:
    """Runs a command that asks for a passphrase at its terminal, as `age` does, and types it whenever it is asked."""
    process, terminal = pty.fork()
    if process == 0:
        try:
            os.execvp(words[0], words)
        finally:
            os._exit(127)
    said = b""
    until = time.monotonic() + SECONDS
    try:
        while time.monotonic() < until:
            ready, _, _ = select.select([terminal], [], [], 1)
            if not ready:
                continue
            try:
                piece = os.read(terminal, 4096)
            except OSError:
                break  # The other end of the terminal is closed.
            if not piece:
                break
            said += piece
            if said.rstrip().endswith(b":") and b"assphrase" in said.rpartition(b"\n")[2]:
                os.write(terminal, passphrase.encode("utf-8") + b"\n")
                said += b"\n"
    finally:
        os.close(terminal)
        _, status = os.waitpid(process, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if "error" in line]
        raise AgeError(lines[0] if lines else f"{words[0]} failed")
