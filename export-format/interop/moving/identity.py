"""Keys and the two documents that are signed in a move (7.3, 8)."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

from pcc import signature

NAMESPACE = "pcc-move@v1"
ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class DocumentError(ValueError):
    """Why a signed document is of no use."""


def did(blob: bytes) -> str:
    """The name that an ed25519 key, as SSH writes it, gives itself."""
    raw = blob[-32:]
    number, text = int.from_bytes(b"\xed\x01" + raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = ALPHABET[digit] + text
    return "did:key:z" + text


def key(folder: Path) -> tuple[Path, str]:
    """A key of one's own, and its name."""
    file = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "successor", "-f", str(file)], check=True, timeout=60)
    blob = base64.b64decode((folder / "key.pub").read_text().split()[1])
    return file, did(blob)


def sign(document: dict[str, Any], file: Path) -> dict[str, str]:
    text = json.dumps(document)
    return {"document": text, "signature": signature.sign(text.encode("utf-8"), file, NAMESPACE).decode("ascii")}


def opened(signed: Any, kind: str) -> dict[str, Any]:
    """What a signed document says, once it is signed by whom it speaks for."""
    try:
        text, armoured = signed["document"], signed["signature"].encode("ascii")
        key = signature.verify(text.encode("utf-8"), armoured, NAMESPACE)
        said = json.loads(text)
    except (KeyError, TypeError, ValueError) as error:
        raise DocumentError(f"the document is of no use: {error}") from error
    if said.get("type") != kind:
        raise DocumentError(f"it is of the kind {said.get('type')!r}")
    if did(key.blob) != said.get("server", {}).get("did"):
        raise DocumentError("it is signed by another than it speaks for")
    return said


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
