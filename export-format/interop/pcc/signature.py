"""Signatures, over the tag manifest (5.4) and of moves (MOVE.md 7.3): SSHSIG, judged and made by the command `ssh-keygen`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .words import NAMESPACE

ARMOUR = re.compile(
    rb"-----BEGIN SSH SIGNATURE-----\n"
    rb"((?:[A-Za-z0-9+/=]{70}\n)*(?:[A-Za-z0-9+/=]{1,70}\n))"
    rb"-----END SSH SIGNATURE-----\n"
)
ORDER = 2**252 + 27742317777372353535851937790883648493
SECONDS = 60


class SignatureError(ValueError):
    """Why a file is no signature that the format allows (signature.wrong)."""


@dataclass(frozen=True, slots=True)
class Key:
    """An ed25519 public key, the blob that SSH writes."""

    blob: bytes

    @property
    def fingerprint(self) -> str:
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode("ascii")
        return "SHA256:" + digest.rstrip("=")

    @property
    def line(self) -> str:
        return "ssh-ed25519 " + base64.b64encode(self.blob).decode("ascii")

    def is_named(self, name: str) -> bool:
        """Whether a line, as it stands in `id_ed25519.pub`, is this key's."""
        return name.split()[:2] == self.line.split()


def verify(content: bytes, armoured: bytes, namespace: str = NAMESPACE) -> Key:
    """The key by which a signature over this content was made, if it is one."""
    key = read(armoured, namespace)
    with tempfile.TemporaryDirectory(prefix="pcc-") as folder:
        file = Path(folder, "signature")
        file.write_bytes(armoured)
        done = subprocess.run(
            ["ssh-keygen", "-Y", "check-novalidate", "-n", namespace, "-s", str(file)],
            input=content,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
    if done.returncode != 0:
        raise SignatureError("does not fit what it signs")
    return key


def read(armoured: bytes, namespace: str = NAMESPACE) -> Key:
    """The key that a signature names, once its form is the only one allowed."""
    found = ARMOUR.fullmatch(armoured)
    if found is None:
        raise SignatureError("is not an armoured SSH signature")
    text = found.group(1).replace(b"\n", b"")
    try:
        blob = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise SignatureError("is not in base64") from None
    if base64.b64encode(blob) != text:
        raise SignatureError("has base64 whose unused bits are not zero")
    fields = Fields(blob)
    if fields.take(6) != b"SSHSIG" or fields.take(4) != b"\0\0\0\1":
        raise SignatureError("is no SSHSIG of version 1")
    public, purpose, reserved, digest, signed = (fields.text() for _ in range(5))
    fields.done()
    if purpose != namespace.encode("ascii"):
        raise SignatureError("is for another namespace")
    if reserved != b"" or digest != b"sha512":
        raise SignatureError("is made with another hash")
    ed25519(public, 32)
    if int.from_bytes(ed25519(signed, 64)[32:], "little") >= ORDER:
        raise SignatureError("has an S that is not below the order of the group")
    return Key(public)


def ed25519(part: bytes, length: int) -> bytes:
    """What follows the name of the algorithm in a key or a signature."""
    inner = Fields(part)
    if inner.text() != b"ssh-ed25519":
        raise SignatureError("is not by an ed25519 key")
    content = inner.text()
    if len(content) != length:
        raise SignatureError("is not by an ed25519 key")
    inner.done()
    return content


class Fields:
    """The fields of an SSH message (RFC 4251, 5), taken one after the other."""

    def __init__(self, blob: bytes) -> None:
        self._blob = blob
        self._at = 0

    def take(self, length: int) -> bytes:
        piece = self._blob[self._at : self._at + length]
        if len(piece) != length:
            raise SignatureError("ends too soon")
        self._at += length
        return piece

    def text(self) -> bytes:
        return self.take(int.from_bytes(self.take(4), "big"))

    def done(self) -> None:
        if self._at != len(self._blob):
            raise SignatureError("has more behind its end")


def sign(content: bytes, key: Path, namespace: str = NAMESPACE) -> bytes:
    """The armoured signature over this content by a private key in a file."""
    done = subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(key)],
        input=content,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise SignatureError("cannot be made: " + done.stderr.decode("utf-8", "replace").strip())
    read(done.stdout, namespace)
    return done.stdout
