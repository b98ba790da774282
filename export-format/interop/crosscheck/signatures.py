"""Signatures that are almost right (5.4): other hashes, keys, namespaces, numbers, spellings."""

from __future__ import annotations

import base64
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pcc.signature import ORDER
from pcc.words import NAMESPACE

BEGIN, END = b"-----BEGIN SSH SIGNATURE-----\n", b"-----END SSH SIGNATURE-----\n"


def text(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


def blob(
    public: bytes,
    signed: bytes,
    *,
    magic: bytes = b"SSHSIG",
    version: int = 1,
    namespace: bytes = NAMESPACE.encode(),
    reserved: bytes = b"",
    digest: bytes = b"sha512",
    more: bytes = b"",
) -> bytes:
    """The message inside the armour."""
    fields = b"".join(map(text, (public, namespace, reserved, digest, signed)))
    return magic + version.to_bytes(4, "big") + fields + more


def armour(message: bytes, width: int = 70, end: bytes = b"\n") -> bytes:
    coded = base64.b64encode(message)
    lines = [coded[at : at + width] for at in range(0, len(coded), width)]
    return BEGIN.replace(b"\n", end) + b"".join(line + end for line in lines) + END.replace(b"\n", end)


def parts(armoured: bytes) -> tuple[bytes, bytes]:
    """The public key and the signature of a sound file, both as SSH writes them."""
    message = base64.b64decode(b"".join(armoured.split(b"\n")[1:-2]))
    fields: list[bytes] = []
    at = 10
    while at < len(message):
        length = int.from_bytes(message[at : at + 4], "big")
        fields.append(message[at + 4 : at + 4 + length])
        at += 4 + length
    return fields[0], fields[4]


def key(point: bytes, name: bytes = b"ssh-ed25519") -> bytes:
    return text(name) + text(point)


def variants(content: bytes, private: Path, sound: bytes) -> Iterator[tuple[str, bytes]]:
    """Files that might be taken for the signature over this content, by name."""
    public, signed = parts(sound)
    number = signed[-64:]
    yield "sound", sound
    yield "sound, made again", armour(blob(public, signed))
    yield "S and the order of the group", armour(blob(public, key(
        number[:32] + (int.from_bytes(number[32:], "little") + ORDER).to_bytes(32, "little"))))
    yield "S with its highest bit", armour(blob(public, key(number[:63] + bytes([number[63] | 0x80]))))
    yield "R of another", armour(blob(public, key(bytes([number[0] ^ 1]) + number[1:])))
    identity = b"\1" + bytes(31)
    yield "a key of order one", armour(blob(key(identity), key(identity + bytes(32))))
    yield "a key of order one in another spelling", armour(blob(key(identity[:31] + b"\x80"), key(identity + bytes(32))))
    yield "a key that is no point", armour(blob(key(b"\2" + bytes(31)), signed))
    for named, change in (
        ("magic", {"magic": b"SSHSIK"}),
        ("version 2", {"version": 2}),
        ("version 0", {"version": 0}),
        ("namespace file", {"namespace": b"file"}),
        ("namespace in capitals", {"namespace": NAMESPACE.upper().encode()}),
        ("no namespace", {"namespace": b""}),
        ("something reserved", {"reserved": b"x"}),
        ("says sha256", {"digest": b"sha256"}),
        ("says SHA512", {"digest": b"SHA512"}),
        ("more behind", {"more": b"\0"}),
    ):
        yield named, armour(blob(public, signed, **change))  # type: ignore[arg-type]
    yield "signature with more behind", armour(blob(public, signed + b"\0"))
    yield "key with more behind", armour(blob(public + b"\0", signed))
    yield "signature of 63 bytes", armour(blob(public, key(number[:63])))
    yield "signature by name of rsa", armour(blob(public, key(number, b"ssh-rsa")))
    yield "key by name of rsa", armour(blob(key(public[-32:], b"ssh-rsa"), signed))
    yield "cut off", armour(blob(public, signed)[:-1])
    for width in (64, 69, 71, 76, 10_000):
        yield f"lines of {width}", armour(blob(public, signed), width)
    yield "CRLF", armour(blob(public, signed), end=b"\r\n")
    for named, changed in (
        ("empty", b""),
        ("without its last line feed", sound[:-1]),
        ("with another line feed", sound + b"\n"),
        ("with a blank before", b" " + sound),
        ("with text before", b"x\n" + sound),
        ("with text behind", sound + b"x\n"),
        ("twice", sound + sound),
        ("with an empty line", sound.replace(b"\n", b"\n\n", 1)),
        ("with a blank in a line", sound[:60] + b" " + sound[60:]),
        ("without padding", sound.replace(b"=", b"")),
        ("with more padding", sound.replace(b"\n-----END", b"====\n-----END")),
        ("with a header", sound.replace(b"\n", b"\nComment: x\n\n", 1)),
        ("with another begin", sound.replace(b"BEGIN", b"begin")),
        ("as a PGP one", sound.replace(b"SSH SIGNATURE", b"PGP SIGNATURE")),
        ("in base64url", sound.replace(b"+", b"-").replace(b"/", b"_") if b"+" in sound[30:-30] else b"-"),
        ("with a null", sound[:-1] + b"\0\n"),
        ("with a mark", b"\xef\xbb\xbf" + sound),
    ):
        yield named, changed
    # Unused bits of the last base64 character: a message whose length leaves some.
    yield "with unused bits", unused_bits(sound)
    yield from by_command(content, private)


def unused_bits(sound: bytes) -> bytes:
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    at = sound.rindex(b"\n-----END")
    while sound[at - 1 : at] == b"=":
        at -= 1
    last = letters.index(sound[at - 1])
    return sound[: at - 1] + letters[last ^ 1 : (last ^ 1) + 1] + sound[at:]


def by_command(content: bytes, private: Path) -> Iterator[tuple[str, bytes]]:
    """What `ssh-keygen` makes when it is asked for something else."""
    sign = ["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE]
    for named, command in (("sha256 by ssh-keygen", [*sign, "-O", "hashalg=sha256", "-f", str(private)]),):
        yield named, subprocess.run(command, input=content, capture_output=True, check=True, timeout=60).stdout
    with tempfile.TemporaryDirectory(prefix="pcc-keys-") as folder:
        for kind in (["rsa", "-b", "2048"], ["ecdsa"]):
            other = str(Path(folder, kind[0]))
            subprocess.run(["ssh-keygen", "-q", "-t", *kind, "-N", "", "-f", other], check=True, timeout=60)
            done = subprocess.run([*sign, "-f", other], input=content, capture_output=True, check=True, timeout=60)
            yield f"by a key of {kind[0]}", done.stdout
