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
    arguments = ["age", "--encrypt"]
    for recipient in recipients:
        arguments += ["--recipient", recipient]
    return command(arguments, content)


def unseal(content: bytes, identity: Path) -> bytes:
    """The content that was encrypted to the identity in a file."""
    return command(["age", "--decrypt", "--identity", str(identity)], content)


def command(words: list[str], content: bytes = b"") -> bytes:
    """Runs `age` on this input."""
    done = subprocess.run(words, input=content, capture_output=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        raise AgeError(done.stderr.decode("utf-8", "replace").strip() or f"{words[0]} failed")
    return done.stdout
