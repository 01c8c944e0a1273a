"""Access keys of an S3 engine, read from a file that its owner alone may read; never from the settings.

The file is of the usual kind: sections, each with aws_access_key_id and aws_secret_access_key. Neither appears in an
error, a log or a representation.
"""

import configparser
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from vault.errors import RefusedError

_ACCESS, _SECRET, _TOKEN = "aws_access_key_id", "aws_secret_access_key", "aws_session_token"


@dataclass(frozen=True, slots=True)
class S3Credentials:
    """One user of an engine."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str | None = field(repr=False, default=None)


def read_credentials(path: Path, profile: str) -> S3Credentials:
    """Read one section.

    Raises:
        RefusedError: the file or the section is not there or not as it must be, or others may read it.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with path.open(encoding="utf-8") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise RefusedError("credentials-exposed", file=path.name)
            parser.read_file(file)
        section = parser[profile]
        return S3Credentials(section[_ACCESS], section[_SECRET], section.get(_TOKEN))
    except OSError as error:
        raise RefusedError("credentials-unreadable", file=path.name, profile=profile) from error
    except (configparser.Error, KeyError, UnicodeDecodeError):
        # Not chained: a parser's error quotes the line, and the line may be a key.
        raise RefusedError("credentials-unreadable", file=path.name, profile=profile) from None
