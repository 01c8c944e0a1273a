"""What a server of PostgreSQL must guarantee before a vault trusts it; looked at on every new connection.

Not once for all: a setting may change while a vault runs, and after a failover another server answers.
"""

from typing import Any

import psycopg

from vault.errors import RefusedError, UnavailableError

OLDEST = 150000  # as the server numbers its versions
_DURABLE = {"fsync": "on", "full_page_writes": "on"}
# All but "off" wait for the server's own disk; what they say beyond that is about standbys.
_WAITS_FOR_DISK = ("on", "local", "remote_write", "remote_apply")
# Keyset paging compares texts by their bytes, as SQLite does; and such an index outlives every upgrade of a library.
_BYTEWISE = ("C", "POSIX", "C.UTF-8", "C.utf8")
_QUERY = """
SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),
       datlocprovider::text, datcollate, pg_is_in_recovery()
FROM pg_database WHERE datname = current_database()
"""


def require_guarantees(connection: psycopg.Connection[Any]) -> None:
    """Refuse a server on which an acknowledged record could be lost, or pages of a list could skip rows.

    Raises:
        RefusedError: its version, a setting or the database's collation will not do; the sentence says what to do.
        UnavailableError: it is a standby, which takes nothing.
    """
    if connection.info.server_version < OLDEST:
        version, oldest = connection.info.server_version // 10000, OLDEST // 10000
        raise RefusedError("database-old", version=version, oldest=oldest)
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise RefusedError("database-encoding", encoding=encoding)
    row = connection.execute(_QUERY).fetchone()
    if row is None:  # pragma: no cover - a database has its row
        raise RefusedError("database-collation", collation="?")
    *durable, commit, provider, collation, is_standby = row
    for (setting, wanted), value in zip(_DURABLE.items(), durable, strict=True):
        if value != wanted:
            raise RefusedError("database-not-durable", setting=setting, value=value)
    if commit not in _WAITS_FOR_DISK:
        raise RefusedError("database-not-durable", setting="synchronous_commit", value=commit)
    # "b": the server's own collations, from version 17 on, are all bytewise; "i": ICU's are none of them.
    if provider != "b" and (provider != "c" or collation not in _BYTEWISE):
        raise RefusedError("database-collation", collation=collation)
    if is_standby:
        raise UnavailableError("database-away", reason="standby")
