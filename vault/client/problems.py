"""What the vault answers where it does not do what was asked: RFC 9457 problems, as errors of the usual tree."""

import json
from typing import Any

from vault.errors import KuraError, Language, RefusedError, UnavailableError

_TEXT_LENGTH = 500
_LATER = (408, 429)  # of the answers that blame the request, those that a repeat may cure
_AWAY = 503
_SERVER_ERROR = 500


class _ToldByVaultError(KuraError):
    """An error with the vault's own sentences; `status` is among its facts."""

    def sentence(self, language: Language) -> str:
        """Repeat what the vault said."""
        return str(self.facts["title_ja" if language == "ja" else "title"])


class RefusedByVaultError(_ToldByVaultError, RefusedError):
    """The vault refused: the same request will be refused again."""


class VaultBusyError(_ToldByVaultError, UnavailableError):
    """The vault cannot do it now; `retry_after_s` among the facts says when to ask again, where it said so."""


def problem_of(status: int, body: bytes, retry_after_s: float | None) -> KuraError:
    """Give the error that an answer with a status of 400 or more stands for."""
    try:
        return told(json.loads(body), status, retry_after_s)
    except (ValueError, KeyError, TypeError, RecursionError):  # not the vault's program itself: the server beneath it
        if status in _LATER or status >= _SERVER_ERROR:
            return UnavailableError("vault-failed", status=status)
        return RefusedError("vault-refused", status=status)


def told(problem: dict[str, Any], status: int, retry_after_s: float | None = None) -> KuraError:
    """Give the error that a problem object stands for.

    Raises:
        KeyError, TypeError, ValueError: it is no problem object.
    """
    code, title, title_ja = (_line(problem[name]) for name in ("code", "title", "title_ja"))
    is_later = status in _LATER or status >= _SERVER_ERROR
    kind: type[_ToldByVaultError] = VaultBusyError if is_later else RefusedByVaultError
    return kind(code, title=title, title_ja=title_ja, status=status, retry_after_s=retry_after_s)


def is_away(error: KuraError) -> bool:
    """Tell whether the vault could not be reached, or has nobody at home: the time for a spool."""
    return error.code in ("vault-unreachable", "vault-not-proven") or error.facts.get("status") == _AWAY


def is_final(error: KuraError) -> bool:
    """Tell whether the vault refused this record for good. What is wrong with the station's certificate is not."""
    is_refused = isinstance(error, RefusedByVaultError) or error.code == "vault-refused"
    return is_refused and not error.code.startswith("certificate-")


def _line(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError("not-a-text")
    return " ".join(text.split())[:_TEXT_LENGTH]
