"""What differs between two archives: their payload manifests (8.3)."""

from __future__ import annotations

from collections.abc import Iterator


def differences(left: dict[str, str], right: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Each path that is not the same on both sides, with `-`, `+` or `~` for gone, new and changed."""
    for path in sorted(left.keys() | right.keys()):
        if path not in right:
            yield "-", path
        elif path not in left:
            yield "+", path
        elif left[path] != right[path]:
            yield "~", path
