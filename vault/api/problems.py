"""Errors as answers: RFC 9457 problem details. The one place that knows HTTP statuses."""

import json
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from vault.errors import (
    ConflictError,
    IntegrityError,
    KuraError,
    NotFoundError,
    RefusedError,
    SealedError,
    UnavailableError,
)

MEDIA_TYPE: Final = "application/problem+json"
_RETRY_AFTER_S: Final = 5

_BY_CLASS: Final[dict[type[KuraError], HTTPStatus]] = {
    RefusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    SealedError: HTTPStatus.SERVICE_UNAVAILABLE,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    IntegrityError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
_BY_CODE: Final = {
    "body-cut": HTTPStatus.BAD_REQUEST,
    "body-stalled": HTTPStatus.REQUEST_TIMEOUT,
    "certificate-missing": HTTPStatus.FORBIDDEN,
    "certificate-revoked": HTTPStatus.FORBIDDEN,
    "certificate-unknown": HTTPStatus.FORBIDDEN,
    "content-too-large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "header-stalled": HTTPStatus.REQUEST_TIMEOUT,
    "header-too-large": HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "http-malformed": HTTPStatus.BAD_REQUEST,
    "media-type-refused": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "method-not-allowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "not-allowed": HTTPStatus.FORBIDDEN,
    "rate-exceeded": HTTPStatus.TOO_MANY_REQUESTS,
    "request-media-type-refused": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "request-too-large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "route-unknown": HTTPStatus.NOT_FOUND,
}
# What is wrong with the request's own form, before anything is known of the record.
_MALFORMED: Final = frozenset(
    {
        "batch-malformed",
        "checkpoint-header-malformed",
        "content-digest-malformed",
        "csr-malformed",
        "deposit-header-malformed",
        "header-repeated",
        "record-id-malformed",
    }
)


def status_of(error: KuraError) -> HTTPStatus:
    """Give the status that an error has at this API."""
    if error.code in _MALFORMED:
        return HTTPStatus.BAD_REQUEST
    return _BY_CODE.get(error.code) or _BY_CLASS[type(error)]


def problem_of(error: KuraError) -> dict[str, object]:
    """Give an error as a problem: its type never changes, its sentences are for people."""
    return {
        "type": f"urn:kura:problem:{error.code}",
        "title": error.sentence("en"),
        "title_ja": error.sentence("ja"),
        "status": int(status_of(error)),
        "code": error.code,
    }


def problem_response(error: KuraError) -> Response:
    """Give an error as an answer."""
    status = status_of(error)
    headers = {}
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        headers["retry-after"] = str(error.facts.get("retry_after_s", _RETRY_AFTER_S))
    return Response(problem_json(error), status, headers, MEDIA_TYPE)


def problem_json(error: KuraError) -> bytes:
    """Give the body of an error's answer."""
    return json.dumps(problem_of(error), ensure_ascii=False).encode()
