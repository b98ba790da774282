"""Small questions, thousands of them: one document, row, name or line each, asked of both readers.

Many go into one archive, each in an entry of its own; the answer to a question is the set of codes at its entry. What
stands once in an archive, such as `pcc.json`, takes an archive for each question.
"""

from __future__ import annotations

import json
import random
import struct
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pcc import jcs, manifest, names, rows, writer

from .forge import DID, Forge

ZEROS = "0" * 64
REFERENCE = {"path": "files/a", "sha256": ZEROS, "size": 0, "type": ""}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, in an entry at this path."""

    path: str
    content: bytes


# JSON documents (5.7)

JSON = """
5.0|1e16|9007199254740991|9007199254740992|-9007199254740992|9007199254740992.5|9007199254740992.0|1e21|-1e21|-0|-0.0|1e20
9.99999999999999999999e20|999999999999999999999|1000000000000000000000|1e999|-1e400|1e308|1.8e308|1e-400|10e20|0.1e22
9007199254740991.5|9007199254740991.4|4503599627370497.5|100000000000000000000000e-2|01|-01|1.|.5|+1|1E+5|1e+|1e|--1|0x10
NaN|Infinity|-Infinity|nul|True|true|false|null|"\\ud800"|"\\udc00\\ud800"|"\\ud83d\\ude00"|"\\ud83d\\ud83d\\ude00"|"\\uD83D"
{"\\ud800":1}|["\\udfff"]|{"a":1,"\\u0061":2}|{"a":1,"b":{"a":1}}|{"a":1,"a":1}|{"é":1,"e\u0301":2}|{"":1,"":2}|"\\u0000"
"\\x41"|"\\u00e"|"\\u 0e1"|"\\U00e1"|"\\/"|"\u007f"|"\uffff"|"\U0010ffff"|[1,]|[,1]|{"a":1,}|{"a"}|{a:1}|{'a':1}|'a'|/**/1
[1 2]|1 2|1 true|{} {}|[|]|{|}|"|"a|\u00a01|\u20281|\ufeff1|[1]]|{"a":1}}|[[]|"a""b"|[1]x|tru|{"a":tru}|{"$int":"5"}|
"""


def json_texts(chance: random.Random, count: int) -> Iterator[bytes]:
    for text in JSON.replace("\n", "|").split("|"):
        yield text.encode("utf-8")
    yield b""
    yield b"\xff"
    yield b'"\xc0\x80"'
    yield b'"\xed\xa0\x80"'
    yield b"\xef\xbb\xbf{}"
    yield b'"\x00"'
    yield b'"\t"'
    yield b'"\n"'
    yield b"\x0c1"
    yield b"\x0b1"
    yield b" \t\r\n1 \t\r\n"
    for level in (63, 64, 65):
        yield b"[" * level + b"]" * level
        yield b'{"a":' * level + b"1" + b"}" * level
    yield b'"' + b"[" * 100 + b'"'
    yield b'"\\"' + b"[" * 100 + b'"'
    yield b"[" * 5000
    yield b"1" * 308
    yield b"1" * 309
    yield b"1" * 310
    yield b"0." + b"0" * 400 + b"1"
    yield b"1" + b"0" * 400 + b"e-400"
    for _ in range(count):
        yield bend(spelled(value(chance, 4), chance).encode("utf-8", "surrogatepass"), chance)
    for _ in range(count):
        yield digits(chance).encode()


def digits(chance: random.Random) -> str:
    """A number in any spelling, mostly about the borders of 5.7."""
    if chance.random() < 0.3:
        near = chance.choice([2**53, 10**21, 10**15, 10**16])
        whole = str(near + chance.randint(-3, 3))
    else:
        whole = str(chance.getrandbits(chance.randint(1, 90)))
    cut = chance.randint(1, len(whole))
    text = whole[:cut] + ("." + whole[cut:] if cut < len(whole) and chance.random() < 0.5 else whole[cut:])
    if chance.random() < 0.4:
        text += chance.choice("eE") + chance.choice(["", "+", "-"]) + str(chance.randint(0, 30))
    return chance.choice(["", "", "-"]) + text


def bend(content: bytes, chance: random.Random) -> bytes:
    """Often as it is; else with a byte changed, doubled or gone."""
    if chance.random() < 0.5 or not content:
        return content
    at = chance.randrange(len(content))
    match chance.randrange(4):
        case 0:
            return content[:at] + content[at + 1 :]
        case 1:
            return content[:at] + bytes([chance.choice(b'",:[]{}0e-.\\u \n\xc3')]) + content[at + 1 :]
        case 2:
            return content[:at] + bytes([chance.choice(b'",:[]{}0e-.\\u \n\xc3')]) + content[at:]
        case _:
            return content[: at + 1] + content[at:]


def spelled(of: Any, chance: random.Random) -> str:
    """A JSON text of a value, spelled at will."""
    return json.dumps(of, ensure_ascii=chance.random() < 0.5, indent=chance.choice([None, None, 1]))


# Values and rows (6)

LETTERS = [*'ab"\\/$\t\n\r\b\f\x00\x1f\x7f\x85 é\u0301\u2028\ufeff\ufb33\uffff', "\U0001f600", "\U0010ffff", "\u1e9e"]


def text(chance: random.Random, most: int = 6) -> str:
    return "".join(chance.choice(LETTERS) for _ in range(chance.randint(0, most)))


def double(chance: random.Random) -> float:
    """A binary64: any bits, or one near where spellings change."""
    match chance.randrange(4):
        case 0:
            (number,) = struct.unpack(">d", chance.getrandbits(64).to_bytes(8, "big"))
            return number if number - number == 0 else 0.5
        case 1:
            return chance.choice([1, 10]) * 10.0 ** chance.randint(-9, 23) * (1 + chance.randint(-3, 3) * 2**-52)
        case 2:
            # Ties: a quarter or half behind sixteen digits, where the two nearest shortest spellings are equally near.
            return chance.getrandbits(51) + chance.choice([0.25, 0.75, 0.5, 0.125, 0.375])
        case _:
            return float(chance.getrandbits(chance.randint(1, 80)))


def whole(chance: random.Random) -> int:
    near = chance.choice([0, 2**53, 10**21, 2**31])
    return chance.choice([1, -1]) * max(0, near + chance.randint(-2, 2))


def value(chance: random.Random, depth: int) -> Any:
    """A value in JSON's terms."""
    match chance.randrange(8 if depth else 6):
        case 0:
            return whole(chance)
        case 1:
            return double(chance)
        case 2:
            return text(chance)
        case 3 | 4:
            return chance.choice([None, True, False])
        case 5:
            return chance.randint(-100, 100)
        case 6:
            return [value(chance, depth - 1) for _ in range(chance.randint(0, 3))]
        case _:
            return {text(chance, 3): value(chance, depth - 1) for _ in range(chance.randint(0, 4))}


def own(chance: random.Random, depth: int) -> Any:
    """A value in a person's terms: with bytes, whole numbers of any size, names with `$`."""
    match chance.randrange(9 if depth else 7):
        case 0:
            return whole(chance)
        case 1:
            return double(chance)
        case 2 | 3:
            return text(chance)
        case 4:
            return chance.randbytes(chance.randint(0, 5))
        case 5:
            return chance.choice([None, True, False])
        case 6:
            return chance.randint(-100, 100)
        case 7:
            return [own(chance, depth - 1) for _ in range(chance.randint(0, 3))]
        case _:
            names = [chance.choice(["", "$", "$$", "$int", "_id"]) + text(chance, 3) for _ in range(3)]
            return {name: own(chance, depth - 1) for name in names[: chance.randint(0, 3)]}


ROWS = """
{}|[]|1|null|"a"||{"a":5.0}|{"a":1e16}|{"a":9007199254740993}|{"a":9007199254740992}|{"a":-9007199254740991}|{"a":-0}|{"a":0}
{"a":{"$int":"9007199254740993"}}|{"a":{"$int":"-9007199254740992"}}|{"a":{"$int":"9007199254740991"}}|{"a":{"$int":"5"}}
{"a":{"$int":"999999999999999999999"}}|{"a":{"$int":"1000000000000000000000"}}|{"a":{"$int":"+9007199254740993"}}
{"a":{"$int":"09007199254740993"}}|{"a":{"$int":"-0"}}|{"a":{"$int":"-"}}|{"a":{"$int":""}}|{"a":{"$int":" 9007199254740993"}}
{"a":{"$int":9007199254740993}}|{"a":{"$int":null}}|{"a":{"$int":"9007199254740993","b":1}}|{"$int":"9007199254740993"}
{"a":{"$int":"\u0669007199254740993"}}|{"$$int":"5"}|{"a":{"$$int":"9007199254740993"}}|{"a":{"$":1}}|{"a":{"$$":1}}|{"$":1}
{"a":{"$$$x":1}}|{"a":{"$x":1}}|{"$x":1}|{"a":{"$date":"x"}}|{"a":[{"$int":"9007199254740993"}]}|{"a":[[{"$x":1}]]}
{"a":{"$bytes":""}}|{"a":{"$bytes":"AA=="}}|{"a":{"$bytes":"AB=="}}|{"a":{"$bytes":"AAE="}}|{"a":{"$bytes":"AAF="}}
{"a":{"$bytes":"AA"}}|{"a":{"$bytes":"A-_="}}|{"a":{"$bytes":"AA==\\n"}}|{"a":{"$bytes":null}}|{"a":{"$bytes":"AAAAA==="}}
{"a":{"$bytes":"===="}}|{"a":{"$bytes":"AA==AA=="}}|{"$bytes":""}|{"a":{"$bytes":"","b":1}}|{"a":{"$bytes":[]}}
{"a":1e21}|{"a":1e+21}|{"a":1E+21}|{"a":1e-7}|{"a":0.0000001}|{"a":0.000001}|{"a":1e-6}|{"a":1424953923781206.2}
{"a":1424953923781206.25}|{"a":1424953923781206.3}|{"a":5e-324}|{"a":4.9e-324}|{"a":2e-324}|{"a":1.7976931348623157e+308}
{"a":1e+400}|{"a":100000000000000000000}|{"a":1000000000000000000000}|{"a":123456789012345680000}|{"a":1.5e+300}|{"a":1.5e300}
{"a":0.30000000000000004}|{"a":0.30}|{"a":0.1}|{"a":-0.0}|{"a":0.0}|{"a":1.0e+21}|{"a":10e+21}|{"a":1e+021}|{"a":0e0}
{"b":1,"a":2}|{"a":1, "b":2}|{"a":1,"a":1}|{"é":1,"e":2}|{"e":2,"é":1}|{"\U0001f600":1,"\ufb33":2}|{"\ufb33":2,"\U0001f600":1}
{"\\u0061":1}|{"":1}|{"a":"\\u0000"}|{"a":"\\u001F"}|{"a":"\\u001f"}|{"a":"\\t"}|{"a":"\\u0009"}|{"a":"\\/"}|{"a":"/"}
{"a":"\u007f"}|{"a":"\\u007f"}|{"a":"\u2028"}|{"a":"\\u2028"}|{"a":"\\ud800"}|{"a":"\\ud83d\\ude00"}|{"a":"\U0001f600"}
{"a":"\ufffe"}|{"a":"\\"\\\\\\b\\f\\n\\r\\t"}|{"a":"\\u000a"}|{"a":tru}|{"a":1}x|{"a":1}}|{"a":true} |{"a":true}\r|\ufeff{}
"""


def row_lines(chance: random.Random, count: int) -> Iterator[bytes]:
    """Lines that are rows, and lines that are not."""
    for line in ROWS.replace("\n", "|").split("|"):
        yield line.encode("utf-8", "surrogatepass")
    for change in (
        {},
        {"path": "../a"},
        {"path": "a"},
        {"path": "files/"},
        {"path": ""},
        {"path": "con"},
        {"path": 1},
        {"sha256": "A" * 64},
        {"sha256": "0" * 63},
        {"size": -1},
        {"size": 1.5},
        {"size": {"$int": "9007199254740993"}},
        {"size": "0"},
        {"type": None},
        {"more": 1},
    ):
        yield jcs.canonical({"a": {"$blob": REFERENCE | change}})
    for name in REFERENCE:
        yield jcs.canonical({"a": {"$blob": {key: item for key, item in REFERENCE.items() if key != name}}})
    yield jcs.canonical({"$blob": REFERENCE})
    yield jcs.canonical({"a": {"$blob": REFERENCE, "b": 1}})
    for level in (63, 64):
        yield b'{"a":' + b"[" * level + b"]" * level + b"}"
    yield b'{"a":"\xed\xa0\x80"}'
    yield b'{"a":"\xff"}'
    yield b'{"a":"\x00"}'
    for _ in range(count):
        line = rows.write({"a": own(chance, 3), text(chance, 2): own(chance, 2)})[:-1]
        yield bend(line, chance)
    for _ in range(count):
        number = double(chance)
        yield b'{"a":' + jcs.number(number).encode() + b"}"
        yield b'{"a":' + repr(number).encode() + b"}"
        yield b'{"a":' + digits(chance).encode() + b"}"
        near = jcs.number(number)
        if near[-1].isdigit():
            yield b'{"a":' + (near[:-1] + str(chance.randint(0, 9))).encode() + b"}"


def documents(chance: random.Random, count: int) -> Iterator[Question]:
    for number, content in enumerate(json_texts(chance, count)):
        yield Question(f"data/messages/{number:05}.json", content)


def lines(chance: random.Random, count: int) -> Iterator[Question]:
    for number, content in enumerate(row_lines(chance, count)):
        yield Question(f"data/messages/{number:05}.ndjson", content + b"\n")
    for number, content in enumerate([b"", b"{}", b"\n", b"{}\n\n", b"\n{}\n", b"{}\r\n", b"{}\n{}", b"{}\n \n"]):
        yield Question(f"data/messages/whole-{number}.ndjson", content)


# Members (13)

def spoilt(sound: dict[str, Any], chance: random.Random) -> Iterator[Any]:
    """A document, without each of its members, with each of another type, and with other values."""
    yield sound
    yield []
    yield None
    yield sound | {"unknown": {"a": [1]}}
    for name in sound:
        yield {key: item for key, item in sound.items() if key != name}
        for other in (None, "", "x", 0, -1, 5, [], ["a"], [1], {}, True, 0.5, {"kind": "owner"}, "2026-02-29"):
            yield sound | {name: other}
        if isinstance(sound[name], str):
            for other in ("2026-11-20T07:00:00Z", "2026-11-20", sound[name] + "2", "pcc/settings@2", "0001-01-01"):
                yield sound | {name: other}


ACCOUNT = {"schema": "pcc/account@1", "id": DID, "handle": "anna.example", "displayName": "Anna", "created": "x"}
PROVIDER = {"schema": "pcc/provider@1", "name": "Console", "origin": "https://console.example", "until": None}
PERMISSION = {
    "schema": "pcc/permission@1",
    "id": "p",
    "grantor": DID,
    "grantee": {"type": "app", "id": "org.example.b"},
    "resource": {"app": "org.example.notes"},
    "actions": ["read"],
    "created": None,
}
FILE = {"path": "files/a", "name": "a", "type": "", "sha256": ZEROS, "size": 0, "created": "x"}
INVOICE = {
    "schema": "pcc/invoice@1",
    "id": "i",
    "issued": "2026-11-01T00:00:00Z",
    "currency": "EUR",
    "status": "paid",
    "amount": 500,
    "text": "invoices/1.txt",
}
USAGE = {"schema": "pcc/usage@1", "date": "2026-11-20", "bytesIn": 5}
EVENT = {
    "schema": "pcc/event@1",
    "id": "e",
    "at": "2026-11-20T07:00:00.125Z",
    "what": "sign-in",
    "text": "Hello.",
    "who": {"kind": "owner"},
}
MOMENTS = """
2026-11-20T07:00:00Z|2026-11-20T07:00:00.1Z|2026-11-20T07:00:00.123456789Z|2026-11-20T07:00:00.1234567890Z|2026-11-20T07:00:00.Z
2026-11-20t07:00:00Z|2026-11-20T07:00:00z|2026-11-20T07:00:00+00:00|2026-11-20 07:00:00Z|2026-11-20T07:00Z|2026-11-20T24:00:00Z
2026-11-20T23:59:60Z|2026-11-20T23:60:00Z|2026-02-29T00:00:00Z|2024-02-29T00:00:00Z|0000-01-01T00:00:00Z|0001-01-01T00:00:00Z
9999-12-31T23:59:59Z|10000-01-01T00:00:00Z|2026-00-01T00:00:00Z|2026-13-01T00:00:00Z|2026-11-00T00:00:00Z|2026-11-31T00:00:00Z
1900-02-29T00:00:00Z|2000-02-29T00:00:00Z|2026-11-20T07:00:00Z |\u0662026-11-20T07:00:00Z|-2026-11-20T07:00:00Z|2026-11-20
"""


def moments() -> list[str]:
    return MOMENTS.strip().replace("\n", "|").split("|")


def days() -> list[str]:
    return [moment.partition("T")[0] for moment in moments()] + ["2026-1-1", "20260101", "2026-001", "", "2026-W01-1"]


def single_documents(chance: random.Random) -> Iterator[Question]:
    """Documents that stand once in an archive."""
    for document in spoilt(ACCOUNT, chance):
        yield Question("data/account.json", pretty(document))
    for document in spoilt({"schema": "pcc/settings@1", "values": {}}, chance):
        yield Question("data/settings.json", pretty(document))
    for document in spoilt({"schema": "pcc/domains@1", "domains": [{"name": "anna.example"}]}, chance):
        yield Question("data/domains/domains.json", pretty(document))
    for text in (b"1", b"[]", b"{", b"null", b""):
        yield Question("data/identity/did.json", text)


def member_rows(chance: random.Random) -> Iterator[Question]:
    """Documents and rows of kinds that may stand there often."""
    for number, document in enumerate(spoilt(PROVIDER, chance)):
        yield Question(f"data/providers/p{number}/provider.json", pretty(document))
    kinds = {"invoices": INVOICE, "usage": USAGE, "log": EVENT}
    for kind, sound in kinds.items():
        for number, row in enumerate(spoilt(sound, chance)):
            yield Question(f"data/providers/{kind}-{number}/{kind}.ndjson", line(row))
    for number, moment in enumerate(moments()):
        yield Question(f"data/providers/at-{number}/log.ndjson", line(EVENT | {"at": moment}))
    for number, day in enumerate(days()):
        yield Question(f"data/providers/day-{number}/usage.ndjson", line(USAGE | {"date": day}))
    for name in ("log.01", "log.1", "log.001", "log.00", "log.100", "log.x", "logs", "usage.02", "invoices.99", "LOG"):
        yield Question(f"data/providers/name-{name}/{name}.ndjson", b"[]\n")
    for number, row in enumerate(spoilt(FILE, chance)):
        app = f"org.example.f{number}"
        yield Question(f"data/apps/{app}/files.ndjson", line(row))
    for number, row in enumerate(spoilt({"_id": "a"}, chance)):
        app = f"org.example.t{number}"
        yield Question(f"data/apps/{app}/tables/t/00.ndjson", line(row))


def pretty(document: Any) -> bytes:
    return writer.pretty(document)


def line(row: Any) -> bytes:
    return jcs.canonical(row) + b"\n"


def permissions(chance: random.Random) -> Iterator[Question]:
    for row in spoilt(PERMISSION, chance):
        yield Question("data/permissions.ndjson", line(row))


# app.json (5.6)

def apps(chance: random.Random) -> Iterator[dict[str, bytes]]:
    """Payloads with one app: its id, its tables, its segments, its files."""
    for app in ("org.example", "1rg.a.b", "org.-a.b", "org.a-.b", "Org.a.b", "org..b.c", "o.r.g", "org.1.2", "a.b.c.d",
                "org.example." + "x" * 23, "org.example." + "x" * 24, "org.exa_mple.a", "org.éxample.a", "-.a.b", "a-b.c.d"):
        yield {f"data/apps/{app}/app.json": pretty(described(app, [])), f"data/apps/{app}/code/x": b""}
        yield {f"data/apps/{app}/code/x": b""}
        yield {f"data/apps/{app}": b""}
    app = "org.example.notes"
    top = f"data/apps/{app}/"
    for document in spoilt(described(app, []), chance):
        yield {top + "app.json": pretty(document)}
    sound = {"name": "t", "count": 1, "segments": ["tables/t/00.ndjson"], "schema": "tables/t.schema.json"}
    for table in spoilt(sound, chance):
        yield segments(top, app, [table], {"t/00": [b"a"]}) | {top + "tables/t.schema.json": b"{}"}
    one = {"name": "t", "count": 1, "segments": ["tables/t/00.ndjson"]}
    for count in ("1.0", "1e0", "-1", "2", "01", "-0", '"1"'):
        text = pretty(described(app, [one])).replace(b'"count": 1', b'"count": ' + count.encode())
        yield segments(top, app, [one], {"t/00": [b"a"]}) | {top + "app.json": text}
    for names_of, parts in (
        (["00", "01"], {"t/00": [b"a"], "t/01": [b"b"]}),
        (["01", "00"], {"t/00": [b"b"], "t/01": [b"a"]}),
        (["00", "01"], {"t/00": [b"b"], "t/01": [b"a"]}),
        (["01", "00"], {"t/00": [b"a"], "t/01": [b"b"]}),
        (["00", "01"], {"t/00": [b"a"], "t/01": [b"a"]}),
        (["00", "00"], {"t/00": [b"a"]}),
        (["00"], {"t/00": [b"a"], "t/01": [b"b"]}),
        (["00"], {"t/00": [b"a"], "u/00": [b"b"]}),
        (["00", "01"], {"t/00": [b"a"], "t/01": []}),
        (["00"], {"t/00": [b"b", b"a"]}),
        (["00"], {"t/00": [b"a", b"a"]}),
        (["00"], {"t/00": ["\ue000".encode(), "\U00010000".encode()]}),
        (["00"], {"t/00": ["\U00010000".encode(), "\ue000".encode()]}),
        (["00"], {"t/00": [b"", b"a"]}),
        (["00", "x"], {"t/00": [b"a"], "t/x": [b"b"]}),
        (["a b"], {"t/a b": [b"a"]}),
        ([], {"t/deep/00": [b"a"]}),
        (["deep/00"], {"t/deep/00": [b"a"]}),
    ):
        count = sum(len(ids) for ids in parts.values())
        table = {"name": "t", "count": count, "segments": [f"tables/t/{name}.ndjson" for name in names_of]}
        yield segments(top, app, [table], parts)
    two = [{"name": name, "count": 1, "segments": [f"tables/{name}/00.ndjson"]} for name in "tu"]
    yield segments(top, app, two, {"t/00": [b"a"], "u/00": [b"a"]})
    yield segments(top, app, [two[0], two[1] | {"name": "t"}], {"t/00": [b"a"], "u/00": [b"b"]})
    yield segments(top, app, [two[0] | {"name": "other name / "}], {"t/00": [b"a"]})
    yield segments(top, app, [two[0] | {"name": ""}], {"t/00": [b"a"]})
    yield segments(top, app, [{"name": "t", "count": 0}], {})
    yield segments(top, app, [{"name": "t", "count": 0, "segments": []}], {})
    yield segments(top, app, [{"name": "t", "count": 0, "segments": ["tables/t/00.ndjson"]}], {})
    yield segments(top, app, [], {"t/00": [b"a"]})
    listed = line(FILE | {"sha256": EMPTY})
    for rows_of, files in (
        ({"files.ndjson": listed}, ["a"]),
        ({"files.ndjson": listed + listed}, ["a"]),
        ({"files.ndjson": listed, "files.01.ndjson": listed}, ["a"]),
        ({"files.ndjson": b"", "files.05.ndjson": listed}, ["a"]),
        ({"files.01.ndjson": listed}, ["a"]),
        ({"files.1.ndjson": listed}, ["a"]),
        ({"files.00.ndjson": listed}, ["a"]),
        ({"files.001.ndjson": listed}, ["a"]),
        ({"files.100.ndjson": listed}, ["a"]),
        ({"Files.ndjson": listed}, ["a"]),
        ({}, ["a"]),
        ({"files.ndjson": listed}, []),
        ({"files.ndjson": listed}, ["a", "b"]),
        ({"files.ndjson": listed.replace(b"files/a", b"code/a")}, []),
        ({"files.ndjson": listed.replace(b"files/a", b"app.json")}, []),
        ({"files.ndjson": listed.replace(b"files/a", b"files/../a")}, ["a"]),
        ({"files.ndjson": listed.replace(EMPTY.encode(), ZEROS.encode())}, ["a"]),
        ({"files.ndjson": listed.replace(b'"size":0', b'"size":1')}, ["a"]),
    ):
        payload = {top + "app.json": pretty(described(app, []))}
        payload |= {top + name: content for name, content in rows_of.items()}
        payload |= {top + "files/" + name: b"" for name in files}
        yield payload


EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def described(app: str, tables: list[Any]) -> dict[str, Any]:
    return {"schema": "pcc/app@1", "id": app, "name": "N", "version": "1", "runtime": "static", "tables": tables}


def segments(top: str, app: str, tables: list[Any], parts: dict[str, list[bytes]]) -> dict[str, bytes]:
    payload = {top + "app.json": pretty(described(app, tables))}
    for name, ids in parts.items():
        payload[f"{top}tables/{name}.ndjson"] = b"".join(line({"_id": of.decode()}) for of in ids)
    return payload


# Names (4)

def single_names(chance: random.Random, count: int) -> Iterator[str]:
    """Paths beneath a folder of their own, each right or wrong for itself."""
    for stem in [*sorted(names.RESERVED), "com", "com10", "com\u2074", "com\u0661", "con\u0131n$", "nu", "aux-", "\uff43on"]:
        yield from (stem, stem.upper(), stem + ".txt", stem + " .txt", stem + ".a.b", "a." + stem, stem + "\u3000.x", "x" + stem)
    yield from ("a" * 255, "a" * 256, "é" * 127, "é" * 128, "\U0001f600" * 63, "\U0001f600" * 64)
    yield from ("a./b", "a/.", "a/..", "...", ".a", "a..", "a/ ", "a /b", " a", "~", "-", "a//b", "/a", "a/", "\u00ad", "é", "e\u0301")
    for code in [*range(0x20, 0x100), *range(0x2000, 0x2070), 0x1680, 0x180E, 0x3000, 0xFEFF, 0xFFFD, 0xFFFE, 0xFFFF, 0xE000,
                 0xE0001, 0x10FFFF, 0x0345, 0x0130, 0x212B, 0x2126, 0xF900, 0x1D15E, 0xAC00, 0x1100, 0x0958, 0x0F43, 0xFB1D]:
        character = chr(code)
        if character != "/":
            yield from (f"a{character}b", f"{character}b", f"a{character}", f"a{character}.b")
    letters = [*"aA.- %cCoOnNuUlL1$", "\u0301", "\u0323", "é", "ß", "\u1e9e", "\u0130", "\u3000", "\u1100", "\u1161", "\u11a8", "\u0f71"]
    for _ in range(count):
        yield "".join(chance.choice(letters) for _ in range(chance.randint(1, 8)))


def pairs(chance: random.Random, count: int) -> Iterator[tuple[str, str]]:
    """Two names that may be one."""
    special = [
        character
        for code in [*range(0x80, 0x2200), *range(0x2C00, 0x2E00), *range(0xA640, 0xAC00), *range(0xFB00, 0xFB20), *range(0xFF20, 0xFF60),
                     *range(0x10400, 0x10600), *range(0x1E900, 0x1E950)]
        if (character := chr(code)) and unicodedata.is_normalized("NFC", character) and names.fold(character) != character
    ]
    for _ in range(count):
        left = "".join(chance.choice([*"sSkKiIfF\u0307\u0301\u0345\u03b1", chance.choice(special)]) for _ in range(chance.randint(1, 3)))
        right = "".join(chance.choice([character, character.upper(), character.lower(), character.title(), character.casefold()])
                        for character in left)
        yield unicodedata.normalize("NFC", left), unicodedata.normalize("NFC", chance.choice([right, names.fold(left), right + "x"]))


# Tag files (5.2 to 5.5)

def tag_files() -> Iterator[Forge]:
    """Archives whose tag files say what they should not, one thing each."""
    payload = {"data/settings.json": b"{}"}
    for change in pcc_changes():
        yield Forge(payload, pcc=change)
    info = Forge(payload).own_tags()["bag-info.txt"]
    for old, new in (
        (b"", b""), (b"Bagging-Date: 2026-11-21\n", b""), (b"Payload-Oxum: 2.1\n", b""), (b"External-Identifier: " + DID.encode() + b"\n", b""),
        (b"Bagging-Date", b"bagging-date"), (b"Bagging-Date: ", b"Bagging-Date:"), (b"Bagging-Date: ", b"Bagging-Date:  "),
        (b"Bagging-Date: ", b"Bagging-Date : "), (b"Bagging-Date: 2026-11-21", b"Bagging-Date: 2026-11-31"),
        (b"2.1", b"2.2"), (b"2.1", b"02.1"), (b"2.1", b"2.1.0"), (b"2.1", b"2"), (b"2.1", b"+2.1"), (b"2.1", b"x"), (b"2.1", b"2.01"),
        (b"anna.example", b"bert.example"), (b"Example\n", b"Example"), (b"Example\n", b"Example\r\n"), (b"Example\n", b"Example\n\n"),
        (b"Example\n", b"Example\nExample\n"), (b"Example\n", b"Example\nA: b\nA: c\n"), (b"Example\n", b"Exa\n mple\n"), (b"Example\n", b"Exa\tmple\n"),
        (b"Example\n", b"Exa\xc2\x85mple\n"), (b"Example\n", b"Exa\xe2\x80\xa8mple\n"), (b"Example\n", b"Exa\xffmple\n"), (b"Example\n", b"Example \n"),
        (b"Example\n", b"Example\xe3\x80\x80\n"), (b"Example\n", b"\n"), (b"Example\n", b"Example\nBagging-Date: 2026-11-21\n"),
        (b"Example\n", b"Example\nbagging-date: 2026-11-21\n"), (b"Example\n", b"Example\nA_B: c\n"), (b"Example\n", "Example\nÄ: c\n".encode()),
        (b"Example\n", b"Example\n: c\n"), (b"Example\n", b"Example\nA: b: c\n"), (b"Example\n", b"Example\nA: :\n"), (b"Example\n", b"Example\n-: c\n"),
        (b"BagIt-Profile-Identifier: https://pcc.example/spec/v1/bagit-profile.json\n", b""), (b"Source-Organization: Example\n", b""),
        (b"Bag", b"\xef\xbb\xbfBag"),
    ):  # fmt: skip
        yield Forge(payload, tags={"bag-info.txt": info.replace(old, new, 1)})
    for day in days():
        yield Forge(payload, tags={"bag-info.txt": info.replace(b"2026-11-21", day.encode())})
    for content in (b"", b"{}", b"[]", b"1", b"{", b'{"a":1,"a":1}', b"\xef\xbb\xbf{}", b"[" * 65 + b"]" * 65, b" " * 65_534 + b"{}", b" " * 65_535 + b"{}"):
        yield Forge(payload, tags={"bagit-profile.json": content})
    for content in (b"", b"BagIt-Version: 1.0\n", b"BagIt-Version: 1.0\r\nTag-File-Character-Encoding: UTF-8\r\n", b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8"):
        yield Forge(payload, tags={"bagit.txt": content})
    for content in (b"{}", b"[]", b"", b"1", b'{"format":1}', b'{"format":"x"}', b" " * (1024 * 1024), b'{"a":1,"a":1}', b"\xff"):
        yield Forge(payload, tags={"pcc.json": content})
    yield Forge(payload, tags={"START-HERE.html": b""})
    yield Forge(payload, tags={"START-HERE.html": b"<script src=http://a></script>\xff"})
    digest = b"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    good = digest + b"  data/settings.json\n"
    for content in (
        good, b"", good[:-1], good + b"\n", b"\n" + good, good.replace(b"  ", b" *"), good.replace(b"  ", b" "), good.replace(b"  ", b"   "), good.replace(b"  ", b"\t"),
        good.upper(), good.replace(b"a", b"A", 1), good.replace(b"data/", b"./data/"), good.replace(b"data/", b"DATA/"), good.replace(b"\n", b"\r\n"), good + good,
        good + good.replace(b"4", b"5"), good + b"0" * 64 + b"  data/a\n", b"0" * 64 + b"  data/a\n" + good, good + b"0" * 64 + b"  pcc.json\n", good + b"0" * 64 + b"  \n",
        good + b"0" * 64 + b"  /etc/passwd\n", good + b"0" * 64 + b"  ../x\n", good + b"0" * 64 + b"  data/\xff\n", good + b"0" * 64 + b"  data/settings.json \n", good[1:],
        good + b"0" * 64 + b"  data/zz%0A\n", b"\xef\xbb\xbf" + good, good + b"0" * 64 + b"  datb\n", good + b"# comment\n", good.replace(b"4", b"5"), good + b"0" * 64 + b"  data/x" + b"y" * 20_000 + b"\n",
    ):  # fmt: skip
        yield Forge(payload, tags={"manifest-sha256.txt": content})
    own = Forge(payload)
    digests = {name: writer.hashlib.sha256(content).hexdigest() for name, content in own.own_tags().items()}
    tag_manifest = manifest.write(digests)
    by_line = tag_manifest.splitlines(keepends=True)
    for content in (
        tag_manifest, b"", b"".join(reversed(by_line)), b"".join(by_line[1:]), b"".join(by_line[:-1]), tag_manifest + by_line[-1], tag_manifest[:-1],
        tag_manifest + b"0" * 64 + b"  tagmanifest-sha256.txt\n", tag_manifest + b"0" * 64 + b"  zzz\n", b"0" * 64 + b"  A\n" + tag_manifest,
        tag_manifest.replace(b"  pcc", b" *pcc"), tag_manifest.upper(), tag_manifest.replace(b"\n", b"\r\n"), tag_manifest + b"0" * 64 + b"  zz/../x\n",
        tag_manifest.replace(digests["pcc.json"].encode(), b"0" * 64), b"".join(by_line[:4]) + b"0" * 64 + b"  data/settings.json\n" + b"".join(by_line[4:]),
    ):  # fmt: skip
        yield Forge(payload, tags={"tagmanifest-sha256.txt": content})
    for name in own.own_tags():
        yield Forge(payload, tags={name: None})
        yield Forge(payload, late={name: None})
        yield Forge(payload, late={name: b"x"})
    yield Forge(payload, tags={"tagmanifest-sha256.txt": None})
    yield Forge(payload, tags={"tagmanifest-sha256.txt.sig": None})


def pcc_changes() -> Iterator[Callable[[dict[str, Any]], object]]:
    """Changes of a sound `pcc.json`: each member gone, of another type, of another value."""
    sound = Forge({}).own_pcc(0)
    others = (None, "", "x", 0, -1, 5, 1.5, [], [1], ["a"], {}, True, "1.0", "full")

    def put(*names_of: str, to: Any = ...) -> Callable[[dict[str, Any]], object]:
        def change(value: dict[str, Any]) -> None:
            at = value
            for name in names_of[:-1]:
                at = at[name]
            if to is ...:
                del at[names_of[-1]]
            else:
                at[names_of[-1]] = to

        return change

    for name, member in sound.items():
        yield put(name)
        for other in others:
            yield put(name, to=other)
        if isinstance(member, dict):
            for inner in member:
                yield put(name, inner)
                for other in others:
                    yield put(name, inner, to=other)
    for version in ("1.0", "1.1", "1.00", "01.0", "1", "1.0.0", "0.9", "0.0", "2.0", "65535.65535", "65536.0", "1.65536", "1.-1", "+1.0", " 1.0", "1.0 ", "1,0",
                    "\u0661.0", "99999999999999999999.0", "1.9"):
        yield put("version", to=version)
        yield put("minReader", to=version)

        def both(value: dict[str, Any], version: str = version) -> None:
            value["version"] = value["minReader"] = version

        yield both
    for text in ("urn:uuid:01920000-0000-7000-8000-00000000000a", "urn:uuid:01920000-0000-7000-8000-00000000000A", "urn:uuid:019200000000700080000000000000aa",
                 "URN:UUID:01920000-0000-7000-8000-00000000000a", "01920000-0000-7000-8000-00000000000a", "urn:uuid:{01920000-0000-7000-8000-00000000000a}",
                 "urn:uuid:00000000-0000-0000-0000-000000000000", "urn:uuid:01920000-0000-7000-8000-00000000000g", "urn:uuid:01920000-0000-7000-8000-00000000000a "):
        yield put("archiveId", to=text)
    for text in ("did:web:", "did:web:a", "did::a", "did:WEB:a", "did:web:a:b", "did:web:a%3A80", "did:web:a/b", "did:web:a#b", "did:web:ä", "did:web: a", "web:a",
                 "did:k3y:_-.", "did:web:a:", "did:web::", "DID:web:a", "did:we-b:a", DID):
        def identified(value: dict[str, Any], text: str = text) -> None:
            value["subject"]["did"] = text

        yield identified
    for moment in moments():
        yield put("snapshot", "at", to=moment)
    for number in (2**53 - 1, 2**53, 10**21, 1e21, -0.0, 0.5, 7.0):
        yield put("snapshot", "seq", to=number)
        yield put("counts", "apps", to=number)
    for base in ({}, None, False, [], "x", {"archiveId": "urn:uuid:01920000-0000-7000-8000-00000000000b"}):
        yield put("base", to=base)
    for files in ([], ["data/settings.json"], ["x"], ["data/none.age"], ["data/settings.json", "data/settings.json"], [None]):
        yield put("secrets", "files", to=files)
    for unlock in ([], ["passphrase", "recipient"], ["passphrase", "passphrase"], ["other"], "recipient", [None], None):
        yield put("secrets", "unlock", to=unlock)
    for item in ({}, {"what": "a"}, {"what": "a", "why": "b"}, {"what": "a", "why": "b", "more": 1}, {"what": "", "why": "b"}, {"what": 1, "why": "b"}, None, "a", []):
        yield put("omitted", to=[item])
    yield put("unknown", to={"a": [1, 2]})
    yield put("redirects", to=5)
    yield put("secrets", to={"scheme": "age", "files": []})
    yield put("secrets", to={"scheme": "pgp", "files": []})
