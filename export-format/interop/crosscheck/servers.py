"""Random servers: payloads that are sound and hold every kind of entry, from one chance."""

from __future__ import annotations

import hashlib
import json
import random
import unicodedata
from typing import Any

from pcc import jcs, names, rows, writer
from pcc.rows import Blob
from pcc.strictjson import JsonError, parse

from .forge import DID
from .questions import own, spelled, text, value

LETTERS = [*"abcdefgzABZ0129_-()!#$&'+,;=@[]^`{}~ .", "é", "ß", "\u1e9e", "ø", "日", "\U0001f600", "\u0301", "\u0660", "ı"]


def server(chance: random.Random) -> dict[str, bytes]:
    """The payload of a server."""
    payload: dict[str, bytes] = {}
    account = {"schema": "pcc/account@1", "id": DID, "handle": "anna.example", "displayName": text(chance)}
    payload["data/account.json"] = document(account | extra(chance), chance)
    if chance.random() < 0.7:
        payload["data/settings.json"] = document({"schema": "pcc/settings@1"} | extra(chance), chance)
    if chance.random() < 0.5:
        payload["data/permissions.ndjson"] = b"".join(permission(chance, number) for number in range(chance.randint(0, 3)))
    if chance.random() < 0.5:
        payload["data/schedules.ndjson"] = b"".join(rows.write(row(chance)) for _ in range(chance.randint(0, 3)))
    if chance.random() < 0.5:
        payload["data/identity/did.json"] = document(value(chance, 3), chance)
    if chance.random() < 0.5:
        payload["data/identity/keys.secret.jwks.json.age"] = b"age-encryption.org/v1\n" + chance.randbytes(50)
    if chance.random() < 0.5:
        payload["data/domains/domains.json"] = document({"domains": [value(chance, 2)]}, chance)
    for number in range(chance.randint(0, 2)):
        payload[f"data/messages/ceps/{number}.ndjson"] = b"".join(rows.write(row(chance)) for _ in range(chance.randint(0, 4)))
        payload[f"data/messages/{number}.json"] = document(value(chance, 4), chance)
    for number in range(chance.randint(0, 3)):
        payload[f"data/unknown/{number}-{name(chance)}"] = chance.randbytes(chance.randint(0, 300))
    for number in range(chance.randint(0, 3)):
        app(payload, f"org.example.app{number}", chance)
    if chance.random() < 0.5:
        provider(payload, chance)
    return sound(payload)


def sound(payload: dict[str, bytes]) -> dict[str, bytes]:
    """Without the paths that chance made too long."""
    return {path: content for path, content in payload.items() if names.why_invalid(path) is None}


def document(of: Any, chance: random.Random) -> bytes:
    """A JSON document of a value; what 5.7 does not take of it is left out."""
    while True:
        content = spelled(of, chance).encode("utf-8", "surrogatepass")
        try:
            parse(content)
            return content
        except JsonError:
            of = plain(of) if isinstance(of, dict) else {}


def plain(of: dict[str, Any]) -> dict[str, Any]:
    """Only the members that are texts."""
    return {key: item for key, item in of.items() if isinstance(item, str)}


def extra(chance: random.Random) -> dict[str, Any]:
    return {"x-" + text(chance, 3): value(chance, 3) for _ in range(chance.randint(0, 2))}


def row(chance: random.Random) -> dict[str, Any]:
    return {"x" + text(chance, 3): own(chance, 3) for _ in range(chance.randint(0, 4))}


def permission(chance: random.Random, number: int) -> bytes:
    return rows.write(
        row(chance)
        | {
            "schema": "pcc/permission@1",
            "id": f"p{number}",
            "grantor": DID,
            "grantee": own(chance, 2),
            "resource": own(chance, 2),
            "actions": [text(chance)],
        }
    )


def name(chance: random.Random) -> str:
    """A name that is allowed, often a strange one."""
    while True:
        made = unicodedata.normalize("NFC", "".join(chance.choice(LETTERS) for _ in range(chance.randint(1, 12))))
        if names.why_name_invalid(made) is None and names.why_invalid(made) is None and not made.endswith(".age"):
            return made


def app(payload: dict[str, bytes], app_id: str, chance: random.Random) -> None:
    top = f"data/apps/{app_id}/"
    for number in range(chance.randint(0, 3)):
        payload[f"{top}code/{number}-{name(chance)}"] = chance.randbytes(chance.randint(0, 100))
    blobs = files(payload, top, chance)
    tables = [table(payload, top, f"t{number}", blobs, chance) for number in range(chance.randint(0, 3))]
    described = {"schema": "pcc/app@1", "id": app_id, "name": text(chance), "version": "1", "runtime": "static"}
    if tables or chance.random() < 0.5:
        described["tables"] = tables
    payload[top + "app.json"] = json.dumps(described | {"x": text(chance)}, ensure_ascii=False).encode()


def files(payload: dict[str, bytes], top: str, chance: random.Random) -> list[Blob]:
    blobs: list[Blob] = []
    parts: list[list[bytes]] = [[] for _ in range(chance.randint(1, 3))]
    for number in range(chance.randint(0, 5)):
        path = f"files/{number}-{name(chance)}/{name(chance)}"
        if names.why_invalid(top + path) is not None:
            continue
        content = chance.randbytes(chance.choice([0, 1, 1000, 70_000]))
        blob = Blob(path, hashlib.sha256(content).hexdigest(), len(content), chance.choice(["", "image/jpeg"]))
        payload[top + path] = content
        blobs.append(blob)
        listed = row(chance) | {
            "path": path, "name": text(chance), "sha256": blob.sha256, "size": blob.size, "type": blob.type,
        }  # fmt: skip
        chance.choice(parts).append(rows.write(listed))
    for number, part in enumerate(parts):
        if part or chance.random() < 0.3:
            payload[f"{top}files.{number:02}.ndjson" if number else f"{top}files.ndjson"] = b"".join(part)
    return blobs


def table(payload: dict[str, bytes], top: str, called: str, blobs: list[Blob], chance: random.Random) -> dict[str, Any]:
    ids = sorted({text(chance) for _ in range(chance.randint(0, 12))}, key=str.encode)
    segments: list[str] = []
    at = 0
    while at < len(ids):
        some = ids[at : at + chance.randint(1, 6)]
        at += len(some)
        path = f"tables/{called}/{len(segments):02}.ndjson"
        segments.append(path)
        lines = []
        for of in some:
            made = row(chance) | {"_id": of}
            if blobs and chance.random() < 0.3:
                made["photo"] = chance.choice(blobs)
            lines.append(rows.write(made))
        payload[top + path] = b"".join(lines)
    made_table: dict[str, Any] = {"name": called, "count": len(ids), "segments": segments}
    if chance.random() < 0.5:
        made_table["schema"] = f"tables/{called}.schema.json"
        payload[f"{top}tables/{called}.schema.json"] = b"{}"
    return made_table


def provider(payload: dict[str, bytes], chance: random.Random) -> None:
    top = "data/providers/console.example/"
    payload[top + "provider.json"] = writer.pretty({"schema": "pcc/provider@1", "name": "C", "origin": "https://c"})
    payload[top + "usage.ndjson"] = jcs.canonical({"schema": "pcc/usage@1", "date": "2026-11-20", "bytesIn": 5}) + b"\n"
    event = {"schema": "pcc/event@1", "id": "e", "at": "2026-11-20T07:00:00Z", "what": "x", "text": text(chance),
             "who": {"kind": "owner"}}  # fmt: skip
    payload[top + "log.ndjson"] = jcs.canonical(event) + b"\n"
    invoice = {"schema": "pcc/invoice@1", "id": "i", "issued": "2026-11-01T00:00:00Z", "currency": "EUR", "status": "paid",
               "amount": -5, "text": "invoices/1.txt"}  # fmt: skip
    payload[top + "invoices.ndjson"] = jcs.canonical(invoice) + b"\n"
    payload[top + "invoices/1.txt"] = b"500"
