"""What a payload path holds, by the tables of 5.6 and 12.3."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

GOING_ON = re.compile(r"(files|invoices|usage|log)(?:\.(?:[0-9]{2}|[1-9][0-9]{2,}))?\.ndjson")


class Holds(Enum):
    ACCOUNT = auto()
    SETTINGS = auto()
    PERMISSIONS = auto()
    SCHEDULES = auto()
    DOMAINS = auto()
    JSON = auto()
    ROWS = auto()
    SEALED = auto()
    APP = auto()
    FILES = auto()
    SEGMENT = auto()
    FILE = auto()
    PROVIDER = auto()
    INVOICES = auto()
    USAGE = auto()
    LOG = auto()
    ANYTHING = auto()


DOCUMENTS = frozenset({Holds.ACCOUNT, Holds.SETTINGS, Holds.DOMAINS, Holds.JSON, Holds.APP, Holds.PROVIDER})
ROWS = frozenset(
    {Holds.PERMISSIONS, Holds.SCHEDULES, Holds.ROWS, Holds.FILES, Holds.SEGMENT, Holds.INVOICES, Holds.USAGE, Holds.LOG}
)

FIXED = {
    "account.json": Holds.ACCOUNT,
    "settings.json": Holds.SETTINGS,
    "permissions.ndjson": Holds.PERMISSIONS,
    "schedules.ndjson": Holds.SCHEDULES,
    "identity/did.json": Holds.JSON,
    "domains/domains.json": Holds.DOMAINS,
}
AT_PROVIDERS = {"invoices": Holds.INVOICES, "usage": Holds.USAGE, "log": Holds.LOG}


@dataclass(frozen=True, slots=True)
class Place:
    """What an entry is: its kind, the folder its own references are relative to, its path there, and its app."""

    holds: Holds
    folder: str = ""
    inner: str = ""
    app: str = ""


def place(path: str) -> Place:
    """What a payload entry is."""
    names = path.removeprefix("data/").split("/")
    if names[0] == "apps" and len(names) > 2:
        inner = "/".join(names[2:])
        return Place(_in_app(names[2:], inner), f"data/apps/{names[1]}/", inner, names[1])
    if names[-1].endswith(".age"):
        return Place(Holds.SEALED)
    if names[0] == "providers" and len(names) == 3:
        return Place(_at_provider(names[2]), f"data/providers/{names[1]}/", names[2])
    if (holds := FIXED.get("/".join(names))) is not None:
        return Place(holds)
    if names[0] == "messages" and len(names) > 1:
        return Place(_message(names[-1]))
    return Place(Holds.ANYTHING)


def _in_app(names: list[str], inner: str) -> Holds:
    if len(names) > 1 and names[0] == "files":
        return Holds.FILE
    if len(names) > 1 and names[0] in ("code", "volumes"):
        return Holds.ANYTHING
    if inner.endswith(".age"):
        return Holds.SEALED
    if inner == "app.json":
        return Holds.APP
    if goes_on(inner) == "files":
        return Holds.FILES
    if names[0] == "tables" and len(names) == 2 and inner.endswith(".schema.json"):
        return Holds.JSON
    if names[0] == "tables" and len(names) == 3 and inner.endswith(".ndjson"):
        return Holds.SEGMENT
    return Holds.ANYTHING


def _at_provider(name: str) -> Holds:
    if name == "provider.json":
        return Holds.PROVIDER
    return AT_PROVIDERS.get(goes_on(name) or "", Holds.ANYTHING)


def _message(name: str) -> Holds:
    if name.endswith(".json"):
        return Holds.JSON
    return Holds.ROWS if name.endswith(".ndjson") else Holds.ANYTHING


def goes_on(name: str) -> str | None:
    """`files` of `files.ndjson`, `files.01.ndjson` and so on, and so for the others that go on."""
    found = GOING_ON.fullmatch(name)
    return None if found is None or ".00." in name else found.group(1)
