"""Sealed files (5.8): age, by the command `age`. A reader without the key judges only how one begins."""

from __future__ import annotations

import subprocess
from pathlib import Path

FIRST_LINE = b"age-encryption.org/v1\n"
SECONDS = 600


class AgeError(Exception):
    """Why something could not be sealed or opened."""


def is_sealed(beginning: bytes) -> bool:
    """Whether content begins as an age file in binary does."""
    return beginning.startswith(FIRST_LINE)


def seal(content: bytes, recipients: list[str]) -> bytes:
    """The content encrypted to recipients (`age1…` or an SSH public key)."""
    command = ["age", "--encrypt"]
    for recipient in recipients:
        command += ["--recipient", recipient]
    return _run(command, content)


def unseal(content: bytes, identity: Path) -> bytes:
    """The content that was encrypted to the identity in a file."""
    return _run(["age", "--decrypt", "--identity", str(identity)], content)


def _run(command: list[str], content: bytes) -> bytes:
    done = subprocess.run(command, input=content, capture_output=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        raise AgeError(done.stderr.decode("utf-8", "replace").strip() or f"{command[0]} failed")
    return done.stdout
