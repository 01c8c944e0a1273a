"""The OpenAPI document of the narrow API. A test holds it against the routes, another asks the routes all it says."""

from typing import Any

from vault.api.batch import MAX_BYTES, MAX_DOCUMENTS
from vault.api.batch import MEDIA_TYPE as BATCH
from vault.api.problems import MEDIA_TYPE as PROBLEM
from vault.records.journals import JournalKind
from vault.sealing.spooled import MEDIA_TYPE as SPOOLED

Schema = dict[str, Any]

_UUID7 = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
_HEX32 = "^[0-9a-f]{64}$"
_BYTES: Schema = {"schema": {"type": "string", "format": "binary"}}
_TEXT: Schema = {"text/plain": {"schema": {"type": "string"}}}
# What every route may answer: before it is looked at, or because the vault cannot.
_ALWAYS = ("400", "403", "404", "405", "429", "431", "500", "503")
_UPLOAD = (*_ALWAYS, "408", "409", "410", "413", "415", "422")


def document() -> Schema:
    """Give the document, OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Kura, the narrow API",
            "version": "1",
            "description": "Machines write records here and can read none. TLS with a client certificate of the vault.",
        },
        "paths": _paths(),
        "components": {"schemas": {"Deposited": _deposited(), "Problem": _problem()}},
    }


def _paths() -> Schema:
    record, taken = _path("id", _UUID7), {"201": _answer("taken", _ref("Deposited")), "200": _again()}
    body: Schema = {"required": True, "content": {"application/octet-stream": _BYTES, SPOOLED: _BYTES}}
    kind = _path("kind", f"^({'|'.join(JournalKind)})$")
    return {
        "/v1/deposits/{id}": {
            "put": _operation("Deposit one record", taken, _UPLOAD, [record, *_upload_headers()], body)
        },
        "/v1/deposits:batch": {
            "post": _operation(
                f"Deposit up to {MAX_DOCUMENTS} small documents of {MAX_BYTES >> 20} MiB together",
                {"200": _answer("an outcome for each, in order", _results())},
                _UPLOAD,
                [_header("Kura-Checkpoint", "the checkpoint of the last receipt, base64url")],
                {"required": True, "content": {BATCH: _BYTES}},
            )
        },
        "/v1/deposits/{id}/receipt": {
            "get": _operation("The receipt again", {"200": _text("C2SP tlog-proof")}, _ALWAYS, [record])
        },
        "/v1/journals/{kind}": {
            "post": _operation("Deposit a machine's journal", taken, _UPLOAD, [kind, *_upload_headers()], body)
        },
        "/v1/checkpoint": {
            "get": _operation("The newest signed checkpoint", {"200": _text("C2SP signed note")}, _ALWAYS, [])
        },
        "/v1/tile/{level}/{index}": {
            "get": _operation(
                "A hash tile",
                {"200": {"description": "C2SP tlog-tiles", "content": {"application/octet-stream": _BYTES}}},
                _ALWAYS,
                [_path("level", "^[0-9]{1,2}$"), _path("index", "^(x[0-9]{3}/)*[0-9]{3}([.]p/[0-9]{1,3})?$")],
            )
        },
        "/v1/buckets": {
            "get": _operation("Public halves to seal to", {"200": _answer("ahead", _buckets())}, _ALWAYS, [])
        },
        "/v1/certificate": {
            "post": _operation(
                "Renew the certificate",
                {"201": {"description": "PEM", "content": {"application/x-pem-file": {"schema": {"type": "string"}}}}},
                (*_ALWAYS, "408", "413", "422"),
                [],
                {"required": True, "content": {"application/pkcs10": {"schema": {"type": "string"}}}},
            )
        },
        "/v1/health": {"get": _operation("How the vault is", {"200": _answer("alive", _health())}, _ALWAYS, [])},
        "/v1/openapi.json": {
            "get": _operation("This document", {"200": _answer("OpenAPI 3.1", {"type": "object"})}, _ALWAYS, [])
        },
    }


def _operation(
    summary: str, answers: Schema, problems: tuple[str, ...], parameters: list[Schema], body: Schema | None = None
) -> Schema:
    refused = {status: {"description": "a problem", "content": {PROBLEM: _ref("Problem")}} for status in problems}
    operation: Schema = {"summary": summary, "parameters": parameters, "responses": answers | refused}
    return operation if body is None else operation | {"requestBody": body}


def _upload_headers() -> list[Schema]:
    return [
        _header("Kura-Deposit", "what the record is: JSON, base64url without padding"),
        _header("Content-Digest", "RFC 9530, sha-256 or sha-512"),
        _header("Kura-Checkpoint", "the checkpoint of the last receipt, base64url without padding"),
    ]


def _path(name: str, pattern: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": pattern}}


def _header(name: str, description: str) -> Schema:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


def _answer(description: str, schema: Schema) -> Schema:
    content = schema if "schema" in schema else {"schema": schema}
    return {"description": description, "content": {"application/json": content}}


def _text(description: str) -> Schema:
    return {"description": description, "content": _TEXT}


def _again() -> Schema:
    return _answer("the same id with the same bytes again", _ref("Deposited"))


def _ref(name: str) -> Schema:
    return {"schema": {"$ref": f"#/components/schemas/{name}"}}


def _object(properties: Schema, required: list[str] | None = None) -> Schema:
    return {"type": "object", "properties": properties, "required": required or list(properties)}


def _deposited() -> Schema:
    hexadecimal = {"type": ["string", "null"], "pattern": _HEX32}
    return _object(
        {
            "record": {"type": "string", "pattern": _UUID7},
            "receipt": {"type": "string"},
            "digest": hexadecimal,
            "salt": hexadecimal,
            "compared": {"type": "boolean"},
        }
    )


def _problem() -> Schema:
    text = {"type": "string"}
    members = {"type": text, "title": text, "title_ja": text, "status": {"type": "integer"}, "code": text}
    return _object(members)


def _results() -> Schema:
    return _object({"results": {"type": "array", "items": {"type": "object"}}})


def _buckets() -> Schema:
    text = {"type": "string"}
    members = dict.fromkeys(("class", "first_day", "last_day", "bucket", "public_key"), text)
    return _object({"buckets": {"type": "array", "items": _object(members)}})


def _health() -> Schema:
    text, flag = {"type": "string"}, {"type": "boolean"}
    return _object(
        {"alive": flag, "sealed": flag, "takes": flag, "newest": {"type": "integer"}}
        | {"missing": {"type": "array", "items": text}}
        | dict.fromkeys(("time", "station", "kind", "contract", "log_vkey"), text)
    )
