"""The target's own side: who it says it is (3.1), and where its owner comes back to (4.2)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

LONGEST = 64 * 1024


class Here:
    """A small server that tells about itself and takes the code an owner is sent back with."""

    def __init__(self, origin: str, listen: tuple[str, int]) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def do_POST(self) -> None:
                outer.take(self)

            def log_message(self, *_args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(listen, Handler)
        self.origin = origin.replace(":0", f":{self.server.server_address[1]}")
        self.back: dict[str, str] = {}
        self.came = threading.Event()
        # What is answered to a recall (8.1), by whoever was handed a server.
        self.recalled: Callable[[str, dict[str, Any]], dict[str, Any] | None] = lambda _move, _asked: None
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        if parts.path == "/.well-known/pcc-provider":
            return self.say(request, 200, json.dumps(self.card()), "application/json")
        if parts.path == "/move/return":
            self.back = {name: values[0] for name, values in parse_qs(parts.query).items()}
            self.came.set()
            return self.say(request, 200, "Thank you. Go back to the program that sent you.", "text/plain")
        return self.say(request, 404, "{}", "application/json")

    def take(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path).path.split("/")
        length = int(request.headers.get("Content-Length") or 0)
        answer = None
        if parts[:4] == ["", "move", "v1", "arrivals"] and parts[5:] == ["recall"] and length <= LONGEST:
            try:
                answer = self.recalled(parts[4], json.loads(request.rfile.read(length)))
            except ValueError:
                pass
        return self.say(request, 404 if answer is None else 200, json.dumps(answer or {}), "application/json")

    def say(self, request: BaseHTTPRequestHandler, status: int, text: str, kind: str) -> None:
        content = text.encode("utf-8")
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(content)))
        request.send_header("Cache-Control", "no-store")
        request.end_headers()
        request.wfile.write(content)

    def card(self) -> dict[str, object]:
        return {
            "protocol": "pcc-move",
            "versions": [1],
            "name": "Conformance client",
            "origin": self.origin,
            "software": "pcc-moving/1",
            "archives": ["1.0"],
            "limits": {"archiveBytes": 2**53, "holdMs": 10000, "forwardDays": 30},
            "move": {
                "endpoint": self.origin + "/move/v1",
                "consent": self.origin + "/move/consent",
                "return": self.origin + "/move/return",
            },
        }

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
