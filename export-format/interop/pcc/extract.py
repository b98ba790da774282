"""Unpacking (7.2): beneath an open folder, following no link, overwriting nothing, and only what was found sound."""

from __future__ import annotations

import os
from pathlib import Path

from .archive import Archive, Entry, open_archive
from .check import Options, Report, check
from .findings import Findings


class ExtractError(Exception):
    """Why an archive could not be unpacked."""


def extract(path: Path, into: Path, options: Options) -> Report:
    """Checks an archive as a whole and then unpacks it into a folder that is new or empty."""
    report = check(path, options)
    if not report.accepted:
        return report
    archive = open_archive(path, Findings(), options.max_entries)
    if archive is None:
        raise ExtractError("the archive changed since it was checked")
    try:
        into.mkdir(exist_ok=True)
        top = os.open(into, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if os.listdir(top):
                raise ExtractError(f"{into} is not empty")
            for entry in archive.entries:
                unpack(archive, entry, top)
        finally:
            os.close(top)
    finally:
        archive.close()
    return report


def unpack(archive: Archive, entry: Entry, top: int) -> None:
    """Writes one entry to a file that is not there yet."""
    names = entry.path.split("/")
    at = os.dup(top)
    try:
        for name in names[:-1]:
            try:
                os.mkdir(name, dir_fd=at)
            except FileExistsError:
                pass
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(names[-1], flags, 0o644, dir_fd=at), "wb") as file:
            for piece in archive.pieces(entry):
                file.write(piece)
    finally:
        os.close(at)
