"""Epoch slots: what is live, what is dead, and that anything else is called damaged."""

import os
from pathlib import Path

import pytest

from vault.errors import ConflictError, IntegrityError
from vault.keys.epoch import SLOT_BYTES, Epoch, SlotFiles, Slots, parse_slot

EPOCH = Epoch(7, bytearray(range(32)))


def test_an_epoch_comes_back_from_its_slot() -> None:
    slot = EPOCH.encode()
    assert len(slot) == SLOT_BYTES
    assert slot[:56] == b"kura-epoch-slot1" + (7).to_bytes(8, "big") + bytes(range(32))
    assert parse_slot(slot) == EPOCH


def test_every_flipped_byte_of_a_slot_is_found_live_or_dead() -> None:
    for slot in (EPOCH.encode(), bytearray(SLOT_BYTES)):
        for place in range(SLOT_BYTES):
            slot[place] ^= 1 << place % 8
            with pytest.raises(IntegrityError) as caught:
                parse_slot(slot)
            assert caught.value.code == "epoch-slot-damaged"
            slot[place] ^= 1 << place % 8


@pytest.mark.parametrize("slot", [b"", bytes(SLOT_BYTES - 1), bytes(SLOT_BYTES + 1), bytes(EPOCH.encode()[:-1]),
                                  bytes(EPOCH.encode()) + b"\x00"])  # fmt: skip
def test_a_slot_of_another_length_is_damaged(slot: bytes) -> None:
    with pytest.raises(IntegrityError):
        parse_slot(bytearray(slot))


@pytest.mark.parametrize("torn_at", [1, 16, 20, 24, 40, 56, 2048, 4064, 4095])
def test_a_slot_torn_while_written_or_killed_is_damaged(torn_at: int) -> None:
    live, dead = EPOCH.encode(), bytearray(SLOT_BYTES)
    for torn in (live[:torn_at] + dead[torn_at:], dead[:torn_at] + live[torn_at:]):
        with pytest.raises(IntegrityError):
            parse_slot(torn)


def test_the_slot_of_an_epoch_is_found_beside_a_damaged_one() -> None:
    damaged = bytearray(b"x" * SLOT_BYTES)
    assert Slots((damaged, EPOCH.encode())).find(7) == (1, EPOCH)


@pytest.mark.parametrize(
    ("other", "code"),
    [(bytearray(SLOT_BYTES), "key-file-outdated"), (bytearray(b"x" * SLOT_BYTES), "epoch-slot-damaged")],
)
def test_an_epoch_that_no_slot_holds_is_told_apart_from_damage(other: bytearray, code: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        Slots((EPOCH.encode(), other)).find(6)
    assert caught.value.code == code


def test_slots_are_overwritten_in_place_and_never_renamed(tmp_path: Path) -> None:
    files = SlotFiles(tmp_path / "epochs")
    files.create(EPOCH)
    places = {path.name: path.stat().st_ino for path in (tmp_path / "epochs").iterdir()}
    files.write(1, Epoch(8, bytearray(os.urandom(32))))
    files.kill(0)
    assert {path.name: path.stat().st_ino for path in (tmp_path / "epochs").iterdir()} == places
    slots = files.read()
    assert slots.is_dead(0)
    assert slots.find(8)[0] == 1


def test_slots_that_exist_are_never_made_anew(tmp_path: Path) -> None:
    (tmp_path / "epoch-1").write_bytes(b"somebody's")
    with pytest.raises(ConflictError) as caught:
        SlotFiles(tmp_path).create(EPOCH)
    assert caught.value.code == "epoch-slots-exist"
    assert (tmp_path / "epoch-1").read_bytes() == b"somebody's"
    assert not (tmp_path / "epoch-0").exists()
