"""Requests that a counter's station must not send, each with its answer – status, code – and the route it is on."""

import base64
import hashlib
import json
from dataclasses import dataclass

import crash_load
import vaults
from cryptography.hazmat.primitives.asymmetric.ec import SECP521R1, generate_private_key
from narrow_api import FORM
from raw_http import head
from station_keys import signing_request
from wire import BATCH, PDF, base64url, batch, batch_line, header, post, put, said

LONG = 1 << 20
DEPOSIT = "/v1/deposits/{id}"
JOURNAL, RECEIPT = "/v1/journals/{kind}", "/v1/deposits/{id}/receipt"
NOWHERE = ""  # no route


@dataclass(frozen=True)
class Bad:
    """A request as bytes, and its answer."""

    status: int
    code: str
    request: bytes
    route: str = DEPOSIT
    method: str = "put"


def _said(code: str, **members: object) -> Bad:
    return Bad(403 if code == "not-allowed" else 422, code, put(said(**members)))


def _unreadable(*fields: str) -> Bad:
    return Bad(400, "deposit-header-malformed", put(*fields))


def _digest(value: str, code: str = "content-digest-malformed", status: int = 400, content: bytes = PDF) -> Bad:
    return Bad(status, code, put(said(), f"Content-Digest: {value}", content=content))


def _batch(content: bytes) -> Bad:
    return Bad(400, "batch-malformed", batch(content), BATCH, "post")


def _nowhere(method: str, path: str, code: str = "route-unknown", status: int = 404) -> Bad:
    return Bad(status, code, head(method, path, "Content-Length: 0"), NOWHERE)


def _digest_of(algorithm: str, content: bytes) -> str:
    return f"{algorithm}=:{base64.b64encode(hashlib.new(algorithm.replace('-', ''), content).digest()).decode()}:"


FORM_TEXT = json.dumps(FORM)
CALL = {"class": "call_recording", "subject_key": None}
ID = vaults.new_id()

SAID = {
    "no header": _unreadable("X-Nothing: 1"),
    "empty header": _unreadable("Kura-Deposit:"),
    "no base64url": _unreadable("Kura-Deposit: {}"),
    "padding": _unreadable(said(subject_key="NIS-000001") + "=="),
    "base64, not base64url": _unreadable(
        "Kura-Deposit: " + base64.b64encode(b'{"\xfb\xff\xfe":1}').decode().rstrip("=")
    ),
    "no UTF-8": _unreadable(f"Kura-Deposit: {base64url(b'{' + bytes([0xFF]) + b'}')}"),
    "no JSON": _unreadable(header("class=application_form")),
    "no object": _unreadable(header(f"[{FORM_TEXT}]")),
    "brackets without end": _unreadable(header("[" * 9_000)),
    "member twice": _unreadable(header(FORM_TEXT[:-1] + ', "class": "application_form"}')),
    "NaN": _unreadable(header(FORM_TEXT[:-1] + ', "sequence": NaN}')),
    "number of 5,000 digits": _unreadable(header(FORM_TEXT[:-1] + f', "sequence": {"9" * 5_000}}}')),
    "unknown member": _unreadable(said(retain="P99Y")),
    "id in the header": _unreadable(said(id=ID)),
    "no class": _unreadable(said(**{"class": None})),
    "class as a list": _unreadable(said(**{"class": ["application_form"]})),
    "no end": _unreadable(said(ended_at=None)),
    "end without offset": _unreadable(said(ended_at="2026-11-20T10:00:00")),
    "end as a number": _unreadable(said(ended_at=1_700_000_000)),
    "end in another calendar": _unreadable(said(ended_at="令和8年11月20日")),
    "null": _unreadable(header(FORM_TEXT[:-1] + ', "site": null}')),
    "number as a text": _unreadable(said(sequence="1")),
    "number as a truth": _unreadable(said(sequence=True)),
    "number with a fraction": _unreadable(said(sequence=1.5)),
    "half a character": _unreadable(header(FORM_TEXT[:-1] + ', "file_name": "\\ud800.pdf"}')),
    "sent at no time": _unreadable(said(sent_at="now")),
    "unknown class": _said("class-unknown", **{"class": "secret_file"}),
    "the vault's own class": _said("class-unknown", **{"class": "audit_trail"}),
    "class of another contract": _said("class-unknown", **{"class": "elsewhere_form"}),
    "class of another kind of station": _said("not-allowed", **CALL),
    "class of people": _said("not-allowed", **{"class": "roster", "subject_key": None}),
    "no subject key": _said("subject-key-missing", subject_key=None),
    "My Number": _said("subject-key-is-my-number", subject_key="1234-5678-9018"),
    "in the future": _said("ended-in-future", ended_at="2999-01-01T00:00:00Z"),
    "times reversed": _said("times-reversed", started_at="2026-11-20T10:00:01+09:00"),
    "unknown site": _said("site-unknown", site="../main_office"),
    "file name with a path": _said("file-name-malformed", file_name="../../form.pdf"),
    "title code": _said("title-code-malformed", title_code="本人 確認"),
    "number beyond exact ones": _said("sequence-malformed", sequence=1 << 53),
    "number before the first": _unreadable(said(sequence=0)),
    "negative number": _unreadable(said(sequence=-1)),
    "two headers": Bad(400, "header-repeated", put(said(), said())),
    "two checkpoints": Bad(400, "header-repeated", put(said(), "Kura-Checkpoint: YQ", "Kura-Checkpoint: YQ")),
    "two types": Bad(400, "header-repeated", put(said(), "Content-Type: a/b", "Content-Type: a/b")),
    "checkpoint of nobody": Bad(400, "checkpoint-header-malformed", put(said(), "Kura-Checkpoint: bm9ib2R5")),
    "checkpoint that is no text": Bad(400, "checkpoint-header-malformed", put(said(), "Kura-Checkpoint: __79")),
}
CONTENT = {
    "nothing": Bad(415, "media-type-refused", put(content=b"")),
    "sound as a form": Bad(415, "media-type-refused", put(content=crash_load.sound(1, 500))),
    "half a form": Bad(422, "pdf-malformed", put(content=PDF[: len(PDF) // 2])),
    "large half a form": Bad(422, "pdf-malformed", put(content=vaults.large_pdf()[:-3_000])),
    "large sound as a form": Bad(415, "media-type-refused", put(content=crash_load.sound(1, LONG))),
    "other SHA-256": _digest(_digest_of("sha-256", b""), "digest-not-as-announced", 422),
    "other SHA-512": _digest(_digest_of("sha-512", b""), "digest-not-as-announced", 422),
    "right SHA-256, other SHA-512": _digest(
        f"{_digest_of('sha-256', PDF)}, {_digest_of('sha-512', b'')}", "digest-not-as-announced", 422
    ),
    "other SHA-256 of much": _digest(
        _digest_of("sha-256", b""), "digest-not-as-announced", 422, content=vaults.large_pdf()
    ),
    "digest in hex": _digest("sha-256=" + hashlib.sha256(PDF).hexdigest()),
    "digest too short": _digest("sha-256=:AAAA:"),
    "digest that is no base64": _digest("sha-256=:A:"),
    "digest twice": _digest(f"{_digest_of('sha-256', PDF)}, {_digest_of('sha-256', PDF)}"),
    "empty digest": _digest(""),
    "two digests": Bad(400, "header-repeated", put(said(), *[f"Content-Digest: {_digest_of('sha-256', PDF)}"] * 2)),
    "more than the class takes": Bad(
        413, "content-too-large", head("PUT", f"/v1/deposits/{ID}", said(), "Content-Length: 52428801")
    ),
    "no spool": Bad(422, "spool-malformed", put("Content-Type: application/vnd.kura.spooled")),
    "spool with another digest": Bad(
        422,
        "digest-not-as-announced",
        put("Content-Type: application/vnd.kura.spooled", f"Content-Digest: {_digest_of('sha-256', b'')}"),
    ),
}
PATHS = {
    "no id": Bad(400, "record-id-malformed", put(path="/v1/deposits/form-1")),
    "upper case": Bad(400, "record-id-malformed", put(path=f"/v1/deposits/{ID.upper()}")),
    "version 4": Bad(400, "record-id-malformed", put(path="/v1/deposits/01a1fe3c-6a95-4614-96bc-ed03bac8d2a5")),
    "dots": Bad(400, "record-id-malformed", put(path="/v1/deposits/..")),
    "dots in disguise": Bad(400, "record-id-malformed", put(path="/v1/deposits/%2e%2e")),
    "null byte": Bad(400, "record-id-malformed", put(path=f"/v1/deposits/{ID}%00")),
    "newline": Bad(400, "record-id-malformed", put(path=f"/v1/deposits/{ID}%0a")),
    "no UTF-8": Bad(400, "record-id-malformed", put(path="/v1/deposits/%ff")),
    "percent twice": Bad(400, "record-id-malformed", put(path="/v1/deposits/%252e%252e")),
    "long": Bad(400, "record-id-malformed", put(path="/v1/deposits/" + "a" * 30_000)),
    "receipt of no id": Bad(400, "record-id-malformed", head("GET", "/v1/deposits/x/receipt"), RECEIPT, "get"),
    "receipt of nothing": Bad(404, "record-unknown", head("GET", f"/v1/deposits/{ID}/receipt"), RECEIPT, "get"),
    "up": _nowhere("PUT", "/v1/deposits/../x"),
    "up in disguise": _nowhere("PUT", "/v1/deposits/%2e%2e%2fx"),
    "up from the root": _nowhere("GET", "/../../etc/passwd"),
    "two slashes": _nowhere("PUT", f"/v1/deposits//{ID}"),
    "two slashes before": _nowhere("GET", "//v1/health"),
    "slash after": _nowhere("PUT", f"/v1/deposits/{ID}/"),
    "slash after health": _nowhere("GET", "/v1/health/"),
    "backslash": _nowhere("GET", "/v1\\health"),
    "another version": _nowhere("GET", "/v2/health"),
    "root": _nowhere("GET", "/"),
    "pages of a framework": _nowhere("GET", "/docs"),
    "parts of a route": _nowhere("GET", "/v1/deposits"),
    "tile of letters": Bad(404, "route-unknown", head("GET", "/v1/tile/a/b"), "/v1/tile/{level}/{index}", "get"),
    "tile with a path": Bad(
        404, "route-unknown", head("GET", "/v1/tile/0/../../checkpoint"), "/v1/tile/{level}/{index}", "get"
    ),
    "tile to come": Bad(404, "tile-unknown", head("GET", "/v1/tile/0/x999/999"), "/v1/tile/{level}/{index}", "get"),
    "reading a record": _nowhere("GET", f"/v1/deposits/{ID}", "method-not-allowed", 405),
    "deleting a record": _nowhere("DELETE", f"/v1/deposits/{ID}", "method-not-allowed", 405),
    "changing the checkpoint": _nowhere("PUT", "/v1/checkpoint", "method-not-allowed", 405),
    "reading a batch": _nowhere("GET", BATCH, "method-not-allowed", 405),
    "options": _nowhere("OPTIONS", "/v1/health", "method-not-allowed", 405),
    "trace": _nowhere("TRACE", "/v1/health", "method-not-allowed", 405),
}
OTHERS = {
    "unknown journal": Bad(404, "journal-kind-unknown", post("/v1/journals/diary", said()), JOURNAL, "post"),
    "journal without id": Bad(
        400, "record-id-malformed", post("/v1/journals/counter_tally", header("{}")), JOURNAL, "post"
    ),
    "journal with a class": Bad(
        400, "deposit-header-malformed", post("/v1/journals/counter_tally", said(id=ID)), JOURNAL, "post"
    ),
    "journal of another kind of station": Bad(
        403,
        "not-allowed",
        post("/v1/journals/entry_log", said(id=ID, subject_key=None, **{"class": None})),
        JOURNAL,
        "post",
    ),
    "batch of another type": Bad(
        415, "request-media-type-refused", post(BATCH, content=batch_line(PDF)), BATCH, "post"
    ),
    "batch of nothing": _batch(b""),
    "batch without lines": _batch(b"x" * 20_000),
    "batch of one line": _batch(batch_line(PDF).splitlines()[0]),
    "batch that is cut": _batch(batch_line(PDF)[:-1]),
    "batch with more": _batch(batch_line(PDF) + b"\n"),
    "batch without sizes": _batch(batch_line(PDF, content_bytes=None)),
    "batch with a negative size": _batch(batch_line(PDF, content_bytes=-1)),
    "batch with a size that is a truth": _batch(batch_line(PDF, content_bytes=True)),
    "batch with a line too long": _batch(batch_line(PDF, file_name="x" * 20_000)),
    "batch of 257": _batch(batch_line(b"") * 257),
    "batch too large": Bad(
        413,
        "request-too-large",
        head("POST", BATCH, "Content-Type: application/vnd.kura.batch", f"Content-Length: {(32 << 20) + 1}"),
        BATCH,
        "post",
    ),
    "batch with another digest": Bad(
        422,
        "digest-not-as-announced",
        post(
            BATCH,
            "Content-Type: application/vnd.kura.batch",
            f"Content-Digest: {_digest_of('sha-512', b'')}",
            content=batch_line(PDF),
        ),
        BATCH,
        "post",
    ),
    "no certificate request": Bad(
        400, "csr-malformed", post("/v1/certificate", content=b"please"), "/v1/certificate", "post"
    ),
    "certificate request of a curve that is not taken": Bad(
        422,
        "csr-key-refused",
        post("/v1/certificate", content=signing_request(generate_private_key(SECP521R1()))),
        "/v1/certificate",
        "post",
    ),
    "certificate request of 17 KiB": Bad(
        413, "request-too-large", post("/v1/certificate", content=b"-" * 17_408), "/v1/certificate", "post"
    ),
}
BAD = {
    f"{part}: {name}": bad
    for part, table in {"said": SAID, "content": CONTENT, "path": PATHS, "other": OTHERS}.items()
    for name, bad in table.items()
}
