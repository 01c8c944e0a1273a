"""A ledger on a real database and a real guard, without the rest of a vault."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import engines
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, select

from vault.canonical_json import Json
from vault.ledger.event import Event, EventKind
from vault.ledger.guard import Guard
from vault.ledger.log import Log
from vault.ledger.note import VerifierKey
from vault.ledger.sequencer import Done, Sequencer
from vault.ledger.transaction import Transaction
from vault.storage.database import create_database, open_database
from vault.storage.tables import LedgerRow

AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
LEDGER = "city"
ORIGIN = "kura.test/city"


def event(number: int = 0, **body: Json) -> Event:
    """An event that says its number."""
    return Event(EventKind.FIXITY_CHECKED, AT, "person:9001", {"number": number} | body)


def verifier(signing_key: Ed25519PrivateKey, origin: str = ORIGIN) -> VerifierKey:
    return VerifierKey.named(origin, signing_key.public_key().public_bytes_raw())


def ledger_row(signing_key: Ed25519PrivateKey, ledger_id: str = LEDGER, origin: str = ORIGIN) -> LedgerRow:
    return LedgerRow(
        id=ledger_id,
        contract_id=None,
        origin=origin,
        vkey=verifier(signing_key, origin).encode(),
        signing_key_id="0" * 32,
        state="open",
        size=0,
        compact_range=b"",
    )


@dataclass
class LedgerBench:
    """Everything that a sequencer needs, in `folder`; `start` may be called again after `stop`."""

    folder: Path
    max_batch: int = 256
    patience_s: float = 60.0  # with a database that is away
    answer_s: float = 60.0  # what one statement may take, in PostgreSQL
    signing_keys: dict[str, Ed25519PrivateKey] = field(default_factory=dict)
    engine: Engine = field(init=False)
    guard: Guard = field(init=False)
    sequencer: Sequencer = field(init=False)

    url: str | None = None  # of the database in the world of engines, where there is one

    @property
    def database(self) -> Path:
        return self.folder / "kura.db"

    @property
    def guards(self) -> Path:
        return self.folder / "guards"

    def start(self) -> "LedgerBench":
        self.guards.mkdir(parents=True, exist_ok=True)
        self.engine = self.open_or_create()
        self.guard = Guard(self.guards)
        self.sequencer = Sequencer(
            self.engine,
            self.logs(),
            self.guard,
            take_up=self.take_up,
            max_batch=self.max_batch,
            patience_s=self.patience_s,
        )
        self.sequencer.start()
        return self

    def beside(
        self, folder: Path, *, url: str | None = None, patience_s: float = 60.0, answer_s: float = 60.0
    ) -> "LedgerBench":
        """Start another owner of the same database, which it may reach by another URL."""
        other = LedgerBench(
            folder, url=url or self.url, signing_keys=self.signing_keys, patience_s=patience_s, answer_s=answer_s
        )
        other.begin_guards()
        return other.start()

    def begin_guards(self) -> None:
        """Guard every ledger that is not guarded here yet, as an owner does that joins others."""
        self.guards.mkdir(parents=True, exist_ok=True)
        guard = Guard(self.guards)
        for ledger_id in self.signing_keys:
            if not guard.has(ledger_id):
                guard.create(ledger_id)
        guard.close()

    def open_or_create(self) -> Engine:
        if engines.is_engines():
            self.url = self.url or engines.new_database()
            create_database(self.url).dispose()  # changes nothing where it was made before
            return open_database(self.url, patience_s=self.answer_s)
        return open_database(self.database) if self.database.exists() else create_database(self.database)

    def logs(self) -> list[Log]:
        """Take every ledger up from its rows."""
        names = [column.key for column in LedgerRow.__mapper__.column_attrs]
        with self.engine.connect() as connection:
            rows = connection.execute(select(*(getattr(LedgerRow, name) for name in names))).mappings().all()
        return [self.take_up(LedgerRow(**row)) for row in rows]

    def take_up(self, row: LedgerRow) -> Log:
        return Log(self.engine, row, self.signing_keys[row.id].sign)

    def stop(self) -> None:
        self.sequencer.stop()
        self.guard.close()
        self.engine.dispose()

    def restart(self) -> "LedgerBench":
        self.stop()
        return self.start()

    def open_ledger(self, ledger_id: str = LEDGER, origin: str = ORIGIN) -> Log:
        log, row = self.new_ledger(ledger_id, origin)
        self.sequencer.run(lambda transaction: transaction.open_ledger(log, row))
        return self.sequencer.log(ledger_id)

    def new_ledger(self, ledger_id: str = LEDGER, origin: str = ORIGIN) -> tuple[Log, LedgerRow]:
        """Prepare a ledger that a change then opens."""
        key = self.signing_keys[ledger_id] = Ed25519PrivateKey.generate()
        self.guard.create(ledger_id)
        row = ledger_row(key, ledger_id, origin)
        return Log(self.engine, row, key.sign), row

    def append(self, *numbers: int, ledger_id: str = LEDGER) -> Done[None]:
        """Append events in one change."""

        def change(transaction: Transaction) -> None:
            for number in numbers:
                transaction.append(ledger_id, event(number))

        return self.sequencer.run(change, ledger_id)

    def append_each(self, numbers: Iterable[int], per_commit: int) -> None:
        """Append events, so many to a commit."""
        waiting = list(numbers)
        for first in range(0, len(waiting), per_commit):
            self.append(*waiting[first : first + per_commit])


def files_of(folder: Path) -> Mapping[str, bytes]:
    """Every file below a folder, by relative path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def put_back(database: Path, saved: Path) -> None:
    """Put a saved database in the place of another one, as from a backup; the owner is stopped."""
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()
    for path in saved.glob(f"{database.name}*"):
        shutil.copy(path, database.parent / path.name)


def save(database: Path, to: Path) -> Path:
    """Copy a database, its write-ahead files with it."""
    to.mkdir()
    for path in database.parent.glob(f"{database.name}*"):
        shutil.copy(path, to / path.name)
    return to
