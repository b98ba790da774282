"""The one spelling of a JSON value that RFC 8785 gives (6.2)."""

from __future__ import annotations

import math
import re
from typing import Any

ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\f": "\\f",
    "\r": "\\r",
}
ESCAPES |= {chr(code): f"\\u{code:04x}" for code in range(0x20) if chr(code) not in ESCAPES}
TO_ESCAPE = re.compile(r'["\\\x00-\x1f]')


def canonical(value: Any) -> bytes:
    """The canonical bytes of a value. Half surrogate pairs raise UnicodeEncodeError, infinities ValueError."""
    parts: list[str] = []
    _write(value, parts)
    return "".join(parts).encode("utf-8")


def _write(value: Any, parts: list[str]) -> None:
    if value is None:
        parts.append("null")
    elif value is True:
        parts.append("true")
    elif value is False:
        parts.append("false")
    elif isinstance(value, str):
        parts.append(text(value))
    elif isinstance(value, int):
        parts.append(str(value) if abs(value) < 2**53 else number(float(value)))
    elif isinstance(value, float):
        parts.append(number(value))
    elif isinstance(value, list):
        parts.append("[")
        for at, item in enumerate(value):
            if at:
                parts.append(",")
            _write(item, parts)
        parts.append("]")
    elif isinstance(value, dict):
        parts.append("{")
        for at, name in enumerate(sorted(value, key=utf16)):
            if at:
                parts.append(",")
            parts.append(text(name))
            parts.append(":")
            _write(value[name], parts)
        parts.append("}")
    else:
        raise TypeError(f"{type(value).__name__} has no JSON form")


def utf16(name: str) -> bytes:
    """The key by which members are sorted: UTF-16 code units (RFC 8785, 3.2.3)."""
    return name.encode("utf-16-be", "surrogatepass")


def text(value: str) -> str:
    return '"' + TO_ESCAPE.sub(lambda found: ESCAPES[found.group()], value) + '"'


def number(value: float) -> str:
    """A number as ECMAScript's Number::toString writes it.

    `repr` gives the shortest digits that mean this number, the nearest of several, the even one at a tie; only where
    the point and the exponent stand differs.
    """
    if not math.isfinite(value):
        raise ValueError("is no finite number")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    point = len(whole) + int(exponent or 0)  # the value is 0.digits × 10^point
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    digits = stripped.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        body = digits + "0" * (point - count)
    elif 0 < point <= 21:
        body = digits[:point] + "." + digits[point:]
    elif -6 < point <= 0:
        body = "0." + "0" * -point + digits
    else:
        body = digits[0] + ("." + digits[1:] if count > 1 else "") + f"e{point - 1:+d}"
    return sign + body
