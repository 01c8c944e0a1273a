"""Answers that are no success, as errors."""

import json
import ssl

import pytest

from vault.client.connection import failure_of
from vault.client.problems import RefusedByVaultError, VaultBusyError, is_away, is_final, problem_of
from vault.errors import RefusedError, UnavailableError


def problem(code: str, status: int, **changed: object) -> bytes:
    values: dict[str, object] = {
        "type": f"urn:kura:problem:{code}",
        "title": "It is refused.",
        "title_ja": "拒否されました。",
        "status": status,
        "code": code,
    }
    return json.dumps(values | changed).encode()


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 415, 422, 431])
def test_a_refusal_is_repeated_in_the_vaults_words_and_final(status: int) -> None:
    error = problem_of(status, problem("pdf-malformed", status), None)
    assert isinstance(error, RefusedByVaultError)
    assert (error.code, error.facts["status"]) == ("pdf-malformed", status)
    assert (error.sentence("en"), error.sentence("ja")) == ("It is refused.", "拒否されました。")
    assert is_final(error)
    assert not is_away(error)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_what_a_repeat_may_cure_is_not_final(status: int) -> None:
    error = problem_of(status, problem("vault-sealed", status), 3.0)
    assert isinstance(error, VaultBusyError)
    assert error.facts["retry_after_s"] == 3.0
    assert not is_final(error)
    assert is_away(error) == (status == 503)


def test_what_is_wrong_with_the_station_is_not_final_for_its_records() -> None:
    for code in ("certificate-revoked", "certificate-unknown"):
        assert not is_final(problem_of(403, problem(code, 403), None))


def test_sentences_of_several_lines_or_endless_ones_are_made_short() -> None:
    error = problem_of(422, problem("x", 422, title="two\nlines " * 1_000), None)
    assert "\n" not in error.sentence("en")
    assert len(error.sentence("en")) == 500


@pytest.mark.parametrize("body", [b"", b"Invalid HTTP request received.", b"[]", b"null", b'{"code": 7}', b"\xff"])
def test_an_answer_of_the_server_beneath_has_a_sentence_of_ours(body: bytes) -> None:
    refused, failed = problem_of(400, body, None), problem_of(502, body, None)
    assert (type(refused), refused.code, type(failed), failed.code) == (
        RefusedError,
        "vault-refused",
        UnavailableError,
        "vault-failed",
    )


def alert(reason: str) -> ssl.SSLError:
    error = ssl.SSLError()
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (alert("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "station-not-accepted"),
        (alert("SSLV3_ALERT_CERTIFICATE_EXPIRED"), "station-not-accepted"),
        (alert("TLSV1_ALERT_UNKNOWN_CA"), "station-not-accepted"),
        (alert("TLSV1_ALERT_INTERNAL_ERROR"), "vault-unreachable"),
        (alert("WRONG_VERSION_NUMBER"), "vault-unreachable"),
        (ssl.SSLEOFError(), "vault-unreachable"),
        (ssl.SSLCertVerificationError(), "vault-not-proven"),
        (ConnectionRefusedError(), "vault-unreachable"),
        (TimeoutError(), "vault-unreachable"),
    ],
    ids=range(9),
)
def test_failures_of_the_connection_are_told_apart(error: OSError, code: str) -> None:
    assert failure_of(error).code == code
