"""Talking to a provider: plain HTTP, nothing followed, nothing believed beyond its bound (3.3)."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import urlsplit

SECONDS = 60
MAX_MESSAGE = 1 << 20
PIECE = 1 << 18


class WireError(Exception):
    """The other side did not answer as anybody could."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise WireError(f"an answer of {self.status} is no JSON") from error

    @property
    def word(self) -> str:
        """The last part of a problem's type (10), or nothing."""
        try:
            kind = json.loads(self.body).get("type", "")
        except (ValueError, AttributeError):
            return ""
        return kind.rsplit("/", 1)[-1] if isinstance(kind, str) else ""


def connect(url: str) -> tuple[http.client.HTTPConnection, str, str]:
    """A connection to where an address leads, the path to ask there, and the host to name."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise WireError(f"{url!r} is no address")
    # Names below localhost are this machine (RFC 6761), which not every resolver knows.
    host = "127.0.0.1" if parts.hostname == "localhost" or parts.hostname.endswith(".localhost") else parts.hostname
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(host, parts.port, timeout=SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=SECONDS)
    path = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    return connection, path, parts.netloc


def ask(
    method: str,
    url: str,
    token: str | None = None,
    message: Any = None,
    headers: dict[str, str] | None = None,
    into: BinaryIO | None = None,
    most: int = MAX_MESSAGE,
) -> Answer:
    """One call. A body of at most `most` bytes comes back, or goes into a file when the call succeeds."""
    connection, path, host = connect(url)
    sent = {"Host": host, "Accept": "application/json", **(headers or {})}
    body = None
    if message is not None:
        body = json.dumps(message).encode("utf-8")
        sent["Content-Type"] = "application/json"
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    try:
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        told = {name.lower(): value for name, value in response.getheaders()}
        if into is None or response.status >= 300:
            content = response.read(most + 1)
            if len(content) > most:
                raise WireError(f"{url} says more than {most} bytes")
            return Answer(response.status, told, content)
        come = 0
        while piece := response.read(PIECE):
            come += len(piece)
            if come > most:
                raise WireError(f"{url} sends more than the {most} bytes it announced")
            into.write(piece)
        return Answer(response.status, told, b"")
    except (OSError, http.client.HTTPException) as error:
        raise WireError(f"{url}: {error}") from error
    finally:
        connection.close()
