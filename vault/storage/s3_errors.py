"""What an S3 engine answers when it does not do what it was asked, as our errors; by status and code, never by words.

Engines word their messages differently, and some their codes: both names of the same code are known here.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3.exceptions import HTTPError

from vault.errors import ConflictError, IntegrityError, KuraError, NotFoundError, UnavailableError

UNREACHABLE = "store-unreachable"
"""The code of an answer that did not come: what was asked may have been done."""

NEVER_LOCKED = frozenset({"NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError"})
_FORBIDDEN, _NOT_FOUND, _PRECONDITION = 403, 404, 412
_CONFLICT = 409


@contextmanager
def translated(store: str, name: str = "") -> Iterator[None]:
    """Turn what the client library raises into our errors.

    Raises:
        UnavailableError: no answer, a failing engine, or one that does not let us in.
        NotFoundError: there is nothing at this address.
        ConflictError: the engine's state is against it.
    """
    try:
        yield
    except S3Error as error:
        raise of_answer(store, name, error.response.status, error.code or "") from error
    except ServerError as error:
        raise UnavailableError("store-failed", reason=str(error.status_code)) from error
    except (InvalidResponseError, MinioException) as error:
        raise UnavailableError("store-failed", reason=type(error).__name__) from error
    except HTTPError as error:
        raise UnavailableError(UNREACHABLE, store=store, reason=type(error).__name__) from error
    except (ValueError, LookupError, SyntaxError) as error:  # an answer that is not what S3 answers
        raise UnavailableError("store-failed", reason=type(error).__name__) from error


def of_answer(store: str, name: str, status: int, code: str) -> KuraError:
    """Say what an answer other than yes means."""
    if code == "NoSuchBucket":
        return UnavailableError("store-bucket-missing", store=store)
    if status == _NOT_FOUND and code not in NEVER_LOCKED:
        return NotFoundError("object-missing", name=name, store=store)
    if status == _FORBIDDEN:
        return UnavailableError("store-denied", store=store, reason=code)
    if status in (_CONFLICT, _PRECONDITION):
        return ConflictError("store-conflict", store=store, reason=code)
    return UnavailableError("store-failed", reason=f"{status} {code}".strip())


def unfaithful(store: str, what: str) -> IntegrityError:
    """Say that an engine did not do what it said that it did."""
    return IntegrityError("store-unfaithful", store=store, what=what)
