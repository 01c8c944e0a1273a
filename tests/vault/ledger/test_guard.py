"""The rollback guard: two slots in turn, a torn one mended, and nothing believed that this ledger did not sign."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledger_vectors import refused
from ledgers import LEDGER, ORIGIN, verifier

from vault.errors import IntegrityError
from vault.ledger.checkpoint import Checkpoint, sign_checkpoint
from vault.ledger.guard import Guard

SIGNING_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
KEY = verifier(SIGNING_KEY)
SLOT = 2048


def note(size: int, signing_key: Ed25519PrivateKey = SIGNING_KEY, origin: str = ORIGIN) -> str:
    root = sha256(b"%d" % size).digest()
    return sign_checkpoint(Checkpoint(origin, size, root), verifier(signing_key, origin), signing_key.sign)


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    guard = Guard(tmp_path)
    guard.create(LEDGER)
    yield guard
    guard.close()


@pytest.fixture
def file(tmp_path: Path, guard: Guard) -> Path:  # noqa: ARG001 - the guard makes the file
    return tmp_path / f"guard-{LEDGER}"


def sizes(guard: Guard) -> list[int | None]:
    return [slot.size if slot is not None else None for slot in guard.slots(LEDGER, KEY)]


def damage(file: Path, *slots: int, data: bytes = b"torn") -> None:
    whole = bytearray(file.read_bytes())
    for slot in slots:
        whole[slot * SLOT + 20 : slot * SLOT + 20 + len(data)] = data
    file.write_bytes(whole)


def test_a_new_guard_knows_nothing(guard: Guard) -> None:
    assert sizes(guard) == [None, None]
    assert guard.newest(LEDGER, KEY) is None


def test_slots_are_written_in_turn_and_the_newest_counts(guard: Guard) -> None:
    seen = []
    for size in (1, 2, 3, 4):
        guard.store(LEDGER, note(size))
        seen.append(sizes(guard))
    assert seen == [[1, None], [1, 2], [3, 2], [3, 4]]
    newest = guard.newest(LEDGER, KEY)
    assert newest is not None
    assert newest.size == 4


@pytest.mark.parametrize("stored", range(5))
def test_after_a_restart_the_older_slot_is_the_next_to_be_written(guard: Guard, tmp_path: Path, stored: int) -> None:
    for size in range(1, stored + 1):
        guard.store(LEDGER, note(size))
    again = Guard(tmp_path)
    again.store(LEDGER, note(stored + 1))
    expected = {stored + 1, stored} - {0}
    assert set(sizes(again)) - {None} == expected
    again.close()


def test_the_file_keeps_its_size(guard: Guard, file: Path) -> None:
    before = file.stat().st_size
    for size in range(1, 12):
        guard.store(LEDGER, note(10**size))
    assert file.stat().st_size == before == 2 * SLOT


def test_making_it_again_is_harmless_while_it_is_empty(guard: Guard) -> None:
    guard.create(LEDGER)
    guard.store(LEDGER, note(1))
    with refused(IntegrityError, "guard-in-use"):
        guard.create(LEDGER)
    assert sizes(guard) == [1, None]


@pytest.mark.parametrize("torn", [0, 1])
def test_a_torn_slot_is_seen_and_mended_over(guard: Guard, file: Path, torn: int) -> None:
    guard.store(LEDGER, note(1))
    guard.store(LEDGER, note(2))
    damage(file, torn)
    with refused(IntegrityError, "guard-damaged"):
        guard.newest(LEDGER, KEY)
    whole, survivor = guard.survivor(LEDGER, KEY)
    assert (whole, survivor and survivor.size) == (1 - torn, 2 - torn)
    guard.mend(LEDGER, KEY, note(7))
    assert sizes(guard) == ([7, 2] if torn == 0 else [1, 7])
    guard.store(LEDGER, note(8))
    assert set(sizes(guard)) == {7, 8}


def test_a_slot_torn_at_its_first_write_is_mended(guard: Guard, file: Path) -> None:
    guard.store(LEDGER, note(1))
    damage(file, 0)
    assert guard.survivor(LEDGER, KEY) == (1, None)
    guard.mend(LEDGER, KEY, note(1))
    assert sizes(guard) == [1, None]


@pytest.mark.parametrize("cut", [1, 100, SLOT - 1, SLOT, 2 * SLOT - 1])
def test_a_guard_of_another_length_is_damaged_and_not_mended(guard: Guard, file: Path, cut: int) -> None:
    guard.store(LEDGER, note(1))
    file.write_bytes(file.read_bytes()[:cut])
    with refused(IntegrityError, "guard-damaged"):
        guard.newest(LEDGER, KEY)
    with refused(IntegrityError, "guard-missing"):
        guard.mend(LEDGER, KEY, note(2))


def test_two_damaged_slots_are_not_mended(guard: Guard, file: Path) -> None:
    guard.store(LEDGER, note(1))
    guard.store(LEDGER, note(2))
    damage(file, 0, 1)
    before = file.read_bytes()
    for act in (guard.newest, guard.survivor):
        with refused(IntegrityError, "guard-damaged"):
            act(LEDGER, KEY)
    with refused(IntegrityError, "guard-damaged"):
        guard.mend(LEDGER, KEY, note(3))
    assert file.read_bytes() == before


def test_a_missing_guard_is_not_an_empty_one(guard: Guard, file: Path) -> None:
    guard.store(LEDGER, note(1))
    file.unlink()
    for act in (guard.newest, guard.slots, guard.survivor):
        with refused(IntegrityError, "guard-missing"):
            act(LEDGER, KEY)
    with refused(IntegrityError, "guard-missing"):
        guard.mend(LEDGER, KEY, note(1))


def test_a_missing_guard_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Guard(tmp_path).store(LEDGER, note(1))


FOREIGN = {
    "another key": note(3, Ed25519PrivateKey.from_private_bytes(bytes(31) + b"1")),
    "another origin": note(3, SIGNING_KEY, "kura.test/other"),
    "unsigned": note(3).partition("\n\n")[0],
    "no checkpoint": "hello",
    "not text": "\udcff",
}


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
def test_what_another_ledger_signed_is_damage(guard: Guard, file: Path, foreign: str) -> None:
    guard.store(LEDGER, note(1))
    file.write_bytes(file.read_bytes()[:SLOT] + foreign.encode(errors="surrogateescape").ljust(SLOT, b"\0"))
    with refused(IntegrityError, "guard-damaged"):
        guard.newest(LEDGER, KEY)
