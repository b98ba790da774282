"""Names of entries (4) and of apps (5.6)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from .words import MAX_NAME_BYTES, MAX_PATH_CHARACTERS

FORBIDDEN = frozenset('%<>:"\\|?*\u2028\u2029')
WHITE_SPACE = frozenset(
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
BLANKS = "".join(sorted(WHITE_SPACE))
RESERVED = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{port}{number}" for port in ("com", "lpt") for number in "0123456789\u00b9\u00b2\u00b3"]
)
PART = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
APP_ID = re.compile(rf"(?=[a-z]){PART}(?:\.{PART}){{2,}}")
MAX_APP_ID = 35


def fold(name: str) -> str:
    """The form in which two names are compared (4.5): lower, upper, lower, each character by itself, then NFC."""
    if name.isascii():
        return name.lower()
    for change in (str.lower, str.upper, str.lower):
        name = "".join(change(character) for character in name)
    return unicodedata.normalize("NFC", name)


def why_invalid(path: str) -> str | None:
    """The first rule of 4.1 to 4.4 that a path breaks, in words; None for a valid path."""
    if any(0xD800 <= ord(character) <= 0xDFFF for character in path):
        return "is not UTF-8"
    if not unicodedata.is_normalized("NFC", path):
        return "is not in NFC"
    if len(path) > MAX_PATH_CHARACTERS:
        return f"has more than {MAX_PATH_CHARACTERS} characters"
    for character in path:
        if character in FORBIDDEN:
            return f"has the character {character!r}"
        if unicodedata.category(character) == "Cc":
            return f"has the control character {character!r}"
    for name in path.split("/"):
        if (why := why_name_invalid(name)) is not None:
            return why
    return None


def why_name_invalid(name: str) -> str | None:
    """The same for one name of a path whose characters have been looked at."""
    if name == "":
        return "has an empty name"
    if name in (".", ".."):
        return f"has the name {name!r}"
    if name[0] in WHITE_SPACE:
        return f"has a name that begins with white space, {name!r}"
    if name[-1] in WHITE_SPACE or name[-1] == ".":
        return f"has a name that ends in white space or a dot, {name!r}"
    if len(name.encode("utf-8")) > MAX_NAME_BYTES:
        return f"has a name of more than {MAX_NAME_BYTES} bytes"
    if ascii_lower(name.split(".", 1)[0].rstrip(BLANKS)) in RESERVED:
        return f"has a name that Windows keeps for itself, {name!r}"
    return None


def ascii_lower(text: str) -> str:
    """Lower case of the ASCII letters alone, so that no other letter becomes one of them."""
    return "".join(chr(ord(character) + 32) if "A" <= character <= "Z" else character for character in text)


def folders_above(path: str) -> Iterator[str]:
    """The folders that a path lies in, from the outermost."""
    at = path.find("/")
    while at != -1:
        yield path[:at]
        at = path.find("/", at + 1)


def clashes(paths: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Every (code, path, other) of 4.5: paths that are equal, or one on some systems."""
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    seen_folders: set[str] = set()
    for path in paths:
        key = fold(path)
        if (other := files.get(key)) is not None:
            yield ("path.duplicate" if other == path else "path.collision", path, other)
            continue
        if (folder := folders.get(key)) is not None:
            yield ("path.collision", path, folder + "/")
        files[key] = path
        for above in folders_above(path):
            if above in seen_folders:
                continue
            seen_folders.add(above)
            key = fold(above)
            if (file := files.get(key)) is not None:
                yield ("path.collision", path, file)
            spelled = folders.setdefault(key, above)
            if spelled != above:
                yield ("path.collision", path, spelled + "/")


def is_app_id(text: str) -> bool:
    """An app's id: a reverse domain name of at least three parts (5.6)."""
    return len(text) <= MAX_APP_ID and APP_ID.fullmatch(text) is not None
