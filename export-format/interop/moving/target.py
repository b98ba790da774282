"""The course of a move (2), each step tried as it should go and as it should not."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable
from urllib.parse import urlencode, urlsplit

from pcc import check, manifest
from pcc.apply import apply
from pcc.check import Options

from . import identity
from .here import Here
from .wire import Answer, ask

PROBLEMS = "https://pcc.example/problems/"
WAIT_MS = 5000
MOST_SECONDS = 600


class Broken(Exception):
    """The provider does not do as the page says, and there is no going on."""


@dataclass
class Tried:
    """What was found, clause by clause."""

    tell: Callable[[str], None]
    good: int = 0
    bad: list[str] = field(default_factory=list)

    def holds(self, clause: str, what: str, is_so: bool, seen: object = "") -> bool:
        if is_so:
            self.good += 1
            self.tell(f"ok      {clause:<5} {what}")
        else:
            self.bad.append(f"{clause} {what}: {seen}")
            self.tell(f"FAILED  {clause:<5} {what}: {seen}")
        return is_so

    def needs(self, clause: str, what: str, is_so: bool, seen: object = "") -> None:
        if not self.holds(clause, what, is_so, seen):
            raise Broken(what)

    def refused(self, clause: str, what: str, answer: Answer, status: int, *words: str) -> None:
        fits = answer.status == status and answer.word in words
        kind = answer.headers.get("content-type", "").split(";")[0]
        full = fits and answer.json.get("type") == PROBLEMS + answer.word and kind == "application/problem+json"
        self.holds(clause, f"{what} is refused with {status} {' or '.join(words)}", full, (answer.status, kind, answer.body[:200]))


def origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None


@dataclass
class Move:
    """One move from one server, by a target at `here`."""

    server: str
    here: Here
    successor: str
    folder: Path
    tried: Tried
    consent: Callable[[str], None]
    await_owner: Callable[[], None]
    signed_by: str | None = None

    # What is known after each step.
    provider: dict[str, Any] = field(default_factory=dict)
    agreed: dict[str, Any] = field(default_factory=dict)
    id: str = ""
    archive: Path | None = None

    def run(self, end: str) -> None:
        """To the end that is called `cancel`, `hand-over` or `recall`."""
        self.find()
        self.ask_owner()
        first = self.round(0, {"round": 0}, None)
        self.ranges(first)
        self.rules_of_rounds()
        self.round(1, {"round": 1, "base": 0}, self.archive)
        held = self.round(2, {"round": 2, "base": 1, "hold": True}, self.archive)
        self.hold(held)
        self.rules_of_hand_over(held)
        if end == "cancel":
            self.cancel()
            return
        signed, key, did = self.stand_down(held)
        if end == "recall":
            self.give_back(signed, key, did)
        else:
            self.settle(signed, key, did)

    def find(self) -> None:
        """Who is who (3)."""
        answer = ask("GET", self.server + "/.well-known/pcc-server")
        self.tried.needs("3.2", "the server tells where it is", answer.status == 200, (answer.status, answer.body[:200]))
        card = answer.json
        self.tried.needs("3.2", "it is there", card.get("state") == "here", card)
        self.tried.holds("3.2", "it says the address that was asked", card.get("address") == self.server, card)
        self.tried.holds("3.3", "that is not kept by caches", "no-store" in answer.headers.get("cache-control", ""), answer.headers)
        answer = ask("GET", card["provider"] + "/.well-known/pcc-provider")
        self.tried.needs("3.1", "the provider tells about itself", answer.status == 200, (answer.status, answer.body[:200]))
        self.provider = told = answer.json
        self.tried.needs("3.1", "it speaks version 1", told.get("protocol") == "pcc-move" and 1 in told.get("versions", []), told)
        self.tried.holds("3.1", "its origin is the one that was asked", told.get("origin") == card["provider"], told)
        places = told.get("move", {})
        own = all(origin(places.get(name, "")) == told.get("origin") for name in ("endpoint", "consent", "return"))
        self.tried.needs("3.1", "its addresses have its own origin", own, places)
        self.tried.holds("3.1", "it writes archives of 1.0", "1.0" in told.get("archives", []), told)
        limits = told.get("limits", {})
        self.tried.holds("3.1", "it forwards for 30 days at least", limits.get("forwardDays", 0) >= 30, limits)
        self.tried.holds("3.1", "it says how long it holds writes", 0 < limits.get("holdMs", 0) <= 60_000, limits)

    def ask_owner(self) -> None:
        """Consent (4) and the token (5)."""
        self.id, verifier = str(uuid.uuid4()), secrets.token_urlsafe(32)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        query = {"move": self.id, "server": self.server, "target": self.here.origin, "successor": self.successor, "challenge": challenge}
        self.consent(self.provider["move"]["consent"] + "?" + urlencode(query))
        self.tried.needs("4.2", "the owner comes back", self.here.came.wait(MOST_SECONDS), "nobody came")
        back = self.here.back
        self.tried.needs("4.2", "with the move and a code", back.get("move") == self.id and bool(back.get("code")), back)
        tokens = self.provider["move"]["endpoint"] + "/tokens"
        message = {"version": 1, "move": self.id, "code": back["code"], "verifier": verifier, "target": self.here.origin}
        self.tried.refused("3.4", "another version", ask("POST", tokens, message={**message, "version": 99}), 400, "version")
        answer = ask("POST", tokens, message=message)
        self.tried.needs("5", "the code is exchanged for a token", answer.status == 200, (answer.status, answer.body[:300]))
        self.agreed = agreed = answer.json
        self.tried.refused("5", "the same code once more", ask("POST", tokens, message=message), 401, "token")
        self.tried.needs("5", "the move's address is the provider's own", origin(agreed["url"]) == self.provider["origin"], agreed)
        offered = agreed["server"]
        self.tried.holds("5", "what is offered is what was asked for", offered.get("address") == self.server, offered)
        counts = all(isinstance(offered.get(name), int) for name in ("apps", "documents", "files", "bytes", "epoch"))
        self.tried.holds("5", "with figures", counts, offered)
        self.tried.needs("5", "and the name its key gives it", str(offered.get("did", "")).startswith("did:key:z6Mk"), offered)
        expires, latest = moment(agreed.get("expires")), datetime.now(timezone.utc) + timedelta(days=7, minutes=5)
        self.tried.holds("5", "the token is good for seven days at most", expires is not None and expires <= latest, agreed.get("expires"))
        self.tried.refused("5", "a call without the token", ask("GET", agreed["url"]), 401, "token")
        self.tried.refused("5", "a call with another", ask("GET", agreed["url"], "x" * 43), 401, "token")
        elsewhere = agreed["url"].replace(self.id, str(uuid.uuid4()))
        answer = ask("GET", elsewhere, agreed["token"])
        self.tried.holds("5", "the token opens no other move", answer.status in (401, 404), (answer.status, answer.body[:200]))
        answer = self.call("GET", "")
        self.tried.holds("8", "the move is copying", answer.status == 200 and answer.json.get("state") == "copying", answer.body[:200])

    def call(self, method: str, path: str, message: Any = None, **more: Any) -> Answer:
        url = self.agreed["url"] + ("/" + path if path else "")
        return ask(method, url, self.agreed["token"], message, **more)

    def round(self, number: int, message: dict[str, Any], base: Path | None) -> dict[str, Any]:
        """One round, made, fetched and verified (6)."""
        answer = self.call("POST", "rounds", message)
        self.tried.needs("6.1", f"round {number} is begun", answer.status == 202, (answer.status, answer.body[:300]))
        again = self.call("POST", "rounds", message)
        self.tried.holds("6.3", f"round {number} can be asked for twice", again.status == 202, (again.status, again.body[:200]))
        said, began = answer.json, time.monotonic()
        while said.get("state") == "making" and time.monotonic() - began < MOST_SECONDS:
            said = self.call("GET", f"rounds/{number}?waitMs={WAIT_MS}").json
        self.tried.needs("6.1", f"round {number} is ready", said.get("state") == "ready", said)
        fits = said.get("round") == number and said.get("base") == message.get("base")
        self.tried.holds("6.1", f"round {number} says which it is", fits, said)
        file = self.folder / f"{number}{'.delta' if base else ''}.pcc.zip"
        with file.open("wb") as into:
            answer = self.call("GET", f"rounds/{number}/archive", into=into, most=said["bytes"])
        self.tried.needs("6.2", f"round {number} has the length it says", file.stat().st_size == said["bytes"], (answer.status, said))
        whole = file
        if base is not None:
            whole = self.folder / f"{number}.pcc.zip"
            report = apply(base, [file], whole)
            self.tried.needs("6.3", f"round {number} is a delta of the round before", report.accepted, found(report))
        report = check.check(whole, Options())
        self.tried.needs("6.5", f"round {number} is a sound archive", report.accepted, found(report))
        payload = hashlib.sha256(manifest.write(report.manifest)).hexdigest()
        self.tried.holds("6.1", f"round {number} has the payload it says", payload == said.get("payload"), (payload, said.get("payload")))
        signer = identity.did(report.signer.blob) if report.signer else ""
        self.tried.holds("6.5", f"round {number} is signed by the server's key", signer == self.agreed["server"]["did"], signer)
        self.archive = whole
        return said

    def ranges(self, said: dict[str, Any]) -> None:
        """Any part, and the same bytes each time (6.2)."""
        file, size = self.folder / "0.pcc.zip", said["bytes"]
        content = file.read_bytes() if size < 1 << 26 else b""
        first = self.call("GET", "rounds/0/archive", headers={"Range": "bytes=0-0"})
        tag = first.headers.get("etag", "")
        self.tried.holds("6.2", "it has an ETag that is strong", bool(tag) and not tag.startswith("W/"), first.headers)
        for start in (1, size // 3, size - 1):
            answer = self.call("GET", "rounds/0/archive", headers={"Range": f"bytes={start}-{min(start + 999, size - 1)}", "If-Range": tag})
            wanted = content[start : start + 1000]
            same = answer.status == 206 and (not content or answer.body == wanted)
            self.tried.holds("6.2", f"a part from byte {start}", same, (answer.status, len(answer.body)))
        answer = self.call("GET", "rounds/0/archive", headers={"Range": f"bytes={size}-"})
        self.tried.holds("6.2", "a part behind the end is refused", answer.status == 416, answer.status)

    def rules_of_rounds(self) -> None:
        """What may not be asked for (6.3)."""
        self.tried.refused("6.3", "round 0 with a hold after it was made without", self.call("POST", "rounds", {"round": 0, "hold": True}), 409, "conflict")
        self.tried.refused("6.3", "round 2 before round 1", self.call("POST", "rounds", {"round": 2, "base": 0}), 409, "conflict")
        self.tried.refused("6.3", "a round that is not there", self.call("GET", "rounds/7"), 404, "not-found")
        answer = ask("POST", self.agreed["url"] + "/rounds", self.agreed["token"], ["what"])
        self.tried.refused("10", "what cannot be read", answer, 400, "malformed")

    def hold(self, said: dict[str, Any]) -> None:
        """How long writes are held (6.4)."""
        until, latest = moment(said.get("heldUntil")), datetime.now(timezone.utc) + timedelta(milliseconds=self.agreed["holdMs"] + 5000)
        self.tried.holds("6.4", "it says until when writes are held, and for no longer than agreed", until is not None and until <= latest, said)

    def party(self, did: str) -> dict[str, str]:
        return {"did": did, "address": self.successor, "provider": self.here.origin}

    def rules_of_hand_over(self, said: dict[str, Any]) -> None:
        """When it does not stand down (7.2)."""
        folder = self.folder / "other"
        folder.mkdir()
        _, did = identity.key(folder)
        message = {"round": 2, "payload": said["payload"], "successor": self.party(did)}
        answer = self.call("POST", "handover", {**message, "payload": "0" * 64})
        self.tried.refused("7.2", "another payload", answer, 409, "differs", "behind")
        answer = self.call("POST", "handover", {**message, "round": 1})
        self.tried.refused("7.2", "a round that was not held", answer, 409, "conflict", "behind")
        stranger = {**message["successor"], "address": "https://mallory.example"}
        answer = self.call("POST", "handover", {**message, "successor": stranger})
        self.tried.refused("7.2", "a successor that was not agreed on", answer, 409, "conflict")

    def cancel(self) -> None:
        """Everything stays as it was (8)."""
        answer = self.call("POST", "cancel", {})
        self.tried.holds("8", "the move is cancelled", answer.status == 200 and answer.json.get("state") == "cancelled", answer.body[:200])
        self.tried.refused("8", "a round after that", self.call("POST", "rounds", {"round": 3, "base": 2}), 410, "cancelled")
        card = ask("GET", self.server + "/.well-known/pcc-server").json
        self.tried.holds("8", "the server is where it was", card.get("state") == "here", card)

    def stand_down(self, said: dict[str, Any]) -> tuple[dict[str, str], Path, str]:
        """The hand-over (7). Nobody is live from then on, and this target has the archive."""
        key, did = identity.key(self.folder)
        number = said["round"]
        for _ in range(10):
            message = {"round": number, "payload": said["payload"], "successor": self.party(did)}
            answer = self.call("POST", "handover", message)
            if answer.word != "behind":
                break
            number += 1
            said = self.round(number, {"round": number, "base": number - 1, "hold": True}, self.archive)
        self.tried.needs("7.3", "the server stands down", answer.status == 200, (answer.status, answer.body[:300]))
        signed = answer.json["handover"]
        document = identity.opened(signed, "pcc-handover@1")
        fits = document["move"] == self.id and document["payload"] == said["payload"] and document["successor"] == self.party(did)
        self.tried.holds("7.3", "and says so, signed by its key", fits and document["server"]["did"] == self.agreed["server"]["did"], document)
        self.tried.holds("7.3", "its epoch is one more", document["epoch"] == self.agreed["server"]["epoch"] + 1, document)
        again = self.call("POST", "handover", message)
        self.tried.holds("7.3", "the same call gives the same document", again.status == 200 and again.json["handover"] == signed, again.body[:300])
        self.tried.refused("8", "to cancel now", self.call("POST", "cancel", {}), 409, "handed")
        return signed, key, did

    def word(self, kind: str, signed: dict[str, str], key: Path, did: str) -> dict[str, str]:
        """What the successor says on a hand-over."""
        said = {"type": kind, "move": self.id, "handover": identity.digest(signed["document"]),
                "server": self.party(did), "at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")}
        return identity.sign(said, key)

    def give_back(self, signed: dict[str, str], key: Path, did: str) -> None:
        """The owner takes the server back, and this target signs that it never went live (8.1, 8.2)."""
        asked: list[dict[str, Any]] = []
        heard = threading.Event()

        def recalled(move: str, request: dict[str, Any]) -> dict[str, Any]:
            asked.append({"move": move, **request})
            heard.set()
            return {"state": "cancelled", "renunciation": self.word("pcc-renunciation@1", signed, key, did)}

        self.here.recalled = recalled
        self.await_owner()
        self.tried.needs("8.1", "the target is asked before the server lives there again", heard.wait(MOST_SECONDS), "nobody asked")
        request = asked[0]
        recall = identity.opened(request.get("recall"), "pcc-recall@1")
        fits = recall["move"] == request["move"] == self.id and recall["handover"] == identity.digest(signed["document"])
        self.tried.holds("8.1", "by the key of the server, on this hand-over", fits and recall["server"]["did"] == self.agreed["server"]["did"], recall)
        self.tried.holds("8.1", "the hand-over goes along", request.get("handover") == signed, request)
        card: dict[str, Any] = {}
        until = time.monotonic() + MOST_SECONDS
        while card.get("state") != "here" and time.monotonic() < until:
            time.sleep(0.25)
            card = ask("GET", self.server + "/.well-known/pcc-server").json
        self.tried.holds("8.2", "the server lives there again", card.get("state") == "here", card)
        self.tried.holds("8.3", "and the move is over", self.call("GET", "").json.get("state") == "cancelled", "")

    def settle(self, signed: dict[str, str], key: Path, did: str) -> None:
        """The server is at this target from now on, which has only its archive (8, 9)."""
        answer = self.call("POST", "settled", self.word("pcc-acceptance@1", signed, key, did))
        self.tried.holds("8", "the move is settled", answer.status == 200 and answer.json.get("state") == "settled", answer.body[:300])
        answer = ask("GET", self.server + "/a/b?c=d")
        self.tried.holds("9.1", "the old address forwards", answer.status == 308 and answer.headers.get("location") == self.successor + "/a/b?c=d", (answer.status, answer.headers))
        card = ask("GET", self.server + "/.well-known/pcc-server").json
        self.tried.holds("9.1", "but for who asks where it went", card.get("state") == "moved" and card.get("handover") == signed, card)


def found(report: Any) -> str:
    return "; ".join(str(finding.as_json()) for finding in list(report.findings)[:5])
