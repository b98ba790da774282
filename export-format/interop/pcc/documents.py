"""What the documents of an archive must say (5.5, 13), judged one by one."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .findings import Findings
from .rows import DIGEST
from .words import MAX_SAFE

READER = (1, 0)

VERSION = re.compile(r"(0|[1-9][0-9]{0,4})\.(0|[1-9][0-9]{0,4})")
ARCHIVE_ID = re.compile(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DID = re.compile(r"did:[a-z0-9]+:[A-Za-z0-9._:%-]+")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MOMENT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?Z")


# The types of section 1 and 13

def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_whole(value: Any) -> bool:
    """A whole number, written in digits alone and perhaps a sign: so it was read as an int and not as a float."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_SAFE


def is_count(value: Any) -> bool:
    return is_whole(value) and value >= 0


def is_digest(value: Any) -> bool:
    return isinstance(value, str) and DIGEST.fullmatch(value) is not None


def is_day(value: Any) -> bool:
    return isinstance(value, str) and DAY.fullmatch(value) is not None and _real(value)


def is_moment(value: Any) -> bool:
    found = MOMENT.fullmatch(value) if isinstance(value, str) else None
    return found is not None and _real(found.group(1))


def _real(value: str) -> bool:
    try:
        datetime.datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def is_text_or_null(value: Any) -> bool:
    return value is None or isinstance(value, str)


def anything(_value: Any) -> bool:
    return True


# pcc.json

def is_kind(text: str) -> bool:
    return text in ("full", "delta")


@dataclass
class Facts:
    """What `pcc.json` says that other entries are held to. `judged` is whether it may be held to anything."""

    judged: bool = False
    did: str | None = None
    bytes: int | None = None
    counts: dict[str, int] = field(default_factory=dict)
    sealed: list[str] = field(default_factory=list)


class Judge:
    """Takes the members of `pcc.json` one by one: of the right type (pcc.unreadable), of a right value (pcc.format)."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings

    def type(self, name: str, value: Any, holds: bool) -> bool:
        if not holds:
            self._findings.add("pcc.unreadable", "pcc.json", f"has no {name}, or one of another type")
        return holds

    def value(self, name: str, holds: bool) -> None:
        if not holds:
            self._findings.add("pcc.format", "pcc.json", f"has a {name} that it cannot have")

    def text(self, name: str, value: Any, right: Callable[[str], bool]) -> None:
        if self.type(name, value, is_text(value)):
            self.value(name, right(value))

    def object(self, name: str, value: Any) -> dict[str, Any] | None:
        return value if self.type(name, value, isinstance(value, dict)) else None

    def count(self, name: str, value: Any) -> int | None:
        return value if self.type(name, value, is_count(value)) else None


Kind = Callable[[dict[str, Any], Judge, Findings], None]


def pcc(value: Any, findings: Findings, kind: Kind | None = None) -> Facts:
    """Judges `pcc.json` (5.5, 8); what is asked of its kind is that it is full, if nothing else is."""
    facts = Facts()
    judge = Judge(findings)
    if not judge.type("object at all", value, isinstance(value, dict)):
        return facts
    if not judge.type("format", value.get("format"), is_text(value.get("format"))):
        return facts
    if value["format"] != "pcc-archive":
        judge.value("format", False)
        return facts
    wrote, needs = version(value.get("version")), version(value.get("minReader"))
    if needs is not None and needs > READER:
        findings.add("pcc.min-reader", "pcc.json", f"needs a reader of {value['minReader']}")
        return facts
    facts.judged = True
    judge.text("version", value.get("version"), lambda text: wrote is not None)
    judge.text("minReader", value.get("minReader"), lambda text: needs is not None)
    if wrote is not None and needs is not None:
        judge.value("minReader above its version", needs <= wrote)
    judge.text("archiveId", value.get("archiveId"), lambda text: ARCHIVE_ID.fullmatch(text) is not None)
    (kind or _full)(value, judge, findings)
    if (subject := judge.object("subject", value.get("subject"))) is not None:
        judge.text("subject.did", subject.get("did"), lambda text: DID.fullmatch(text) is not None)
        judge.text("subject.domain", subject.get("domain"), bool)
        facts.did = subject["did"] if is_text(subject.get("did")) else None
    if (snapshot := judge.object("snapshot", value.get("snapshot"))) is not None:
        judge.text("snapshot.at", snapshot.get("at"), is_moment)
        judge.count("snapshot.seq", snapshot.get("seq"))
        judge.text("snapshot.consistency", snapshot.get("consistency"), lambda text: text == "point-in-time")
    if (source := judge.object("source", value.get("source"))) is not None:
        for name in ("provider", "origin", "software"):
            judge.text(f"source.{name}", source.get(name), anything)
    if (counts := judge.object("counts", value.get("counts"))) is not None:
        for name in ("apps", "tables", "documents", "files", "bytes"):
            number = judge.count(f"counts.{name}", counts.get(name))
            if number is not None:
                facts.counts[name] = number
    facts.bytes = facts.counts.pop("bytes", None)
    facts.sealed = _secrets(value.get("secrets"), judge)
    _omitted(value, judge)
    return facts


def version(value: Any) -> tuple[int, int] | None:
    found = VERSION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    pair = int(found.group(1)), int(found.group(2))
    return pair if max(pair) <= 0xFFFF else None


def _full(value: dict[str, Any], judge: Judge, findings: Findings) -> None:
    """An archive that is complete by itself."""
    kind = value.get("kind")
    judge.text("kind", kind, is_kind)
    if kind == "delta":
        findings.add("pcc.delta", "pcc.json", "is a delta, which is complete only together with another archive")
    elif kind == "full":
        judge.value("base", value.get("base") is None)


def _secrets(value: Any, judge: Judge) -> list[str]:
    if value is None:
        return []
    secrets = judge.object("secrets", value)
    if secrets is None:
        return []
    judge.text("secrets.scheme", secrets.get("scheme"), lambda text: text == "age")
    if "unlock" in secrets and judge.type("secrets.unlock", secrets["unlock"], is_texts(secrets["unlock"])):
        judge.value("secrets.unlock", all(item in ("passphrase", "recipient") for item in secrets["unlock"]))
    files = secrets.get("files")
    return files if judge.type("secrets.files", files, is_texts(files)) else []


def _omitted(value: dict[str, Any], judge: Judge) -> None:
    omitted = value.get("omitted", [])
    if not judge.type("omitted", omitted, isinstance(omitted, list)):
        return
    for item in omitted:
        if judge.object("omitted", item) is not None:
            judge.text("omitted.what", item.get("what"), bool)
            judge.text("omitted.why", item.get("why"), bool)


# The documents of section 13: what each must have, by the members in bold

# A name that ends in `?` is a member in italics: it may be absent.
Members = dict[str, Callable[[Any], bool]]

ACCOUNT: Members = {"id": is_text, "handle": is_text, "displayName": is_text}
PERMISSION: Members = {
    "id": is_text,
    "grantor": is_text,
    "grantee": anything,
    "resource": anything,
    "actions": is_texts,
}
APP: Members = {
    "id": is_text,
    "name": is_text,
    "version": is_text,
    "runtime": is_text,
    "tables?": lambda value: isinstance(value, list),
}
TABLE: Members = {"name": is_text, "count": is_count, "segments?": is_texts, "schema?": is_text_or_null}
FILE: Members = {
    "path": is_text,
    "name": is_text,
    "type": is_text,
    "sha256": is_digest,
    "size": is_count,
    "created?": is_text_or_null,
    "modified?": is_text_or_null,
}
PROVIDER: Members = {"name": is_text, "origin": is_text}
INVOICE: Members = {"id": is_text, "issued": is_moment, "currency": is_text, "status": is_text, "amount": is_whole}
USAGE: Members = {"date": is_day}
EVENT: Members = {"id": is_text, "at": is_moment, "what": is_text, "text": is_text}


def why_not(value: Any, members: Members, schema: str | None = None) -> str | None:
    """Why a value is not a document with these members, or None."""
    if not isinstance(value, dict):
        return "is no object"
    if schema is not None and value.get("schema") != schema:
        return f"does not say that it is a {schema}"
    for name, right in members.items():
        if name.endswith("?") and (name := name[:-1]) not in value:
            continue
        if name not in value or not right(value[name]):
            return f"has no {name}, or one of another type"
    return None


def why_no_account(value: Any) -> str | None:
    return why_not(value, ACCOUNT, "pcc/account@1")


def why_no_settings(value: Any) -> str | None:
    return _with_schema(value, "pcc/settings@1")


def why_no_domains(value: Any) -> str | None:
    return _with_schema(value, "pcc/domains@1")


def _with_schema(value: Any, schema: str) -> str | None:
    """For documents whose `schema` may be absent, and is this one if it is there (8.4)."""
    return why_not(value, {}, schema if isinstance(value, dict) and "schema" in value else None)


def why_no_provider(value: Any) -> str | None:
    return why_not(value, PROVIDER, "pcc/provider@1")


def why_no_permission(value: Any) -> str | None:
    return why_not(value, PERMISSION, "pcc/permission@1")


def why_no_file(value: Any) -> str | None:
    return why_not(value, FILE)


def why_no_invoice(value: Any) -> str | None:
    return why_not(value, INVOICE, "pcc/invoice@1")


def why_no_usage(value: Any) -> str | None:
    return why_not(value, USAGE, "pcc/usage@1")


def why_no_event(value: Any) -> str | None:
    why = why_not(value, EVENT, "pcc/event@1")
    return why if why is not None else why_not(value.get("who"), {"kind": is_text})


@dataclass(frozen=True, slots=True)
class Table:
    """A table as `app.json` lists it."""

    name: str
    count: int
    segments: list[str]
    schema: str | None


def app(value: Any, folder: str) -> tuple[list[Table], str | None]:
    """The tables of an `app.json`, and why it is none, if so (5.6)."""
    why = why_not(value, APP, "pcc/app@1")
    if why is not None:
        return [], why
    if value["id"] != folder:
        return [], "has an id that is not its folder's name"
    tables: list[Table] = []
    for item in value.get("tables", []):
        why = why_not(item, TABLE)
        if why is not None:
            return [], f"lists a table that {why}"
        tables.append(Table(item["name"], item["count"], item.get("segments", []), item.get("schema")))
    return tables, None
