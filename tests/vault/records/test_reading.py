"""Reading: allowed, logged before shown, by range, and from whichever copy is whole."""

import random
from collections.abc import Callable
from pathlib import Path

import crash_load
import pytest
import stored
import vaults
from crash_load import BytesSource
from ledger_vectors import refused

from vault.errors import IntegrityError, KuraError, NotFoundError, RefusedError, UnavailableError
from vault.ledger.event import EventKind, decode_entry
from vault.people.purpose import ViewPurpose
from vault.records.event_parts import open_part
from vault.records.metadata import Metadata
from vault.records.opening import opener_for, read_records
from vault.records.reading import Purpose, Reading
from vault.records.vault import Vault
from vault.sealing.bucket_secrets import bucket_rows
from vault.sealing.envelope import Envelope

PURPOSE = Purpose(ViewPurpose.INCIDENT_INVESTIGATION, "夜間の件")
SEGMENT = 1 << 20
FIRST = SEGMENT - 56
CLIP = crash_load.video(7, 3 * SEGMENT)


def deposit(
    vault: Vault, content: bytes = CLIP, class_id: str = "surveillance_video", actor: str = vaults.MANAGER
) -> str:
    subject_key = "NIS-1" if class_id == "application_form" else None
    request = vaults.request(class_id=class_id, subject_key=subject_key, file_name=None)
    return vault.deposits.deposit(vault.actor(actor), vaults.CONTRACT, request, BytesSource(content)).record_id


def read(vault: Vault, record_id: str, actor: str = vaults.OFFICER) -> Reading:
    return vault.readings.read(vault.actor(actor), vaults.CONTRACT, record_id, PURPOSE)


def content_of(reading: Reading, start: int = 0, count: int | None = None) -> bytes:
    return b"".join(map(bytes, reading.parts(start, count)))


def copies(vault: Vault, record_id: str) -> list[Path]:
    [[name]] = stored.rows(vault, "SELECT name FROM objects WHERE record_id = :id", id=record_id)
    return [vault.folder / "objects" / store / name[:2] / name for store in "ab"]


@pytest.fixture(scope="module")
def clip(shared: Vault) -> Reading:
    return read(shared, deposit(shared))


EDGES = [
    0,
    1,
    FIRST - 1,
    FIRST,
    FIRST + 1,
    FIRST + SEGMENT - 17,
    FIRST + SEGMENT - 16,
    2 * SEGMENT,
    len(CLIP) - 1,
    len(CLIP),
]


@pytest.mark.parametrize("start", EDGES)
@pytest.mark.parametrize("end", EDGES)
def test_a_range_is_the_slice_of_the_bytes(clip: Reading, start: int, end: int) -> None:
    assert content_of(clip, start, max(0, end - start)) == CLIP[start : max(start, end)]


def test_random_ranges_are_slices(clip: Reading) -> None:
    rng = random.Random(1)
    for _ in range(60):
        start, count = rng.randrange(len(CLIP)), rng.randrange(2 * SEGMENT)
        assert content_of(clip, start, count) == CLIP[start : start + count]


@pytest.mark.parametrize("start", [len(CLIP), len(CLIP) + 1, len(CLIP) + 2 * SEGMENT])
@pytest.mark.parametrize("count", [0, 1, SEGMENT, None])
def test_beyond_the_end_there_is_nothing(clip: Reading, start: int, count: int | None) -> None:
    assert content_of(clip, start, count) == b""


@pytest.mark.both_worlds
def test_the_whole_is_the_whole(clip: Reading) -> None:
    assert content_of(clip) == CLIP
    assert (clip.content_bytes, clip.media_type) == (len(CLIP), "video/mp4")


def sealed_reasons(vault: Vault) -> list[object]:
    """Open the sealed parts of a contract's reading events."""
    query = (
        "SELECT p.sealed, p.envelope_id, v.bucket_id, v.sealed, e.entry FROM event_parts p JOIN envelopes v ON v.id ="
        " p.envelope_id JOIN events e USING (ledger_id, entry_index) ORDER BY p.entry_index"
    )
    reasons: list[object] = []
    for sealed, envelope_id, bucket_id, sealed_key, entry in stored.rows(vault, query):
        if b'"record:content:' not in entry:
            continue
        with vault.ground.engine.connect() as connection:
            [row] = bucket_rows(connection, [bucket_id]).values()
        envelope = Envelope.open(envelope_id, bucket_id, sealed_key, vault.buckets.secrets.opened(row).private_key)
        commitment = decode_entry(entry).part
        assert commitment is not None
        reasons.append(open_part(envelope, commitment, sealed)["reason"])
    return reasons


@pytest.mark.both_worlds
def test_the_reading_is_in_the_ledger_before_the_first_byte_is_given(vault: Vault) -> None:
    record_id = deposit(vault)
    reading = read(vault, record_id)
    [event] = stored.events(vault, vaults.CONTRACT, EventKind.CONTENT_READ)
    assert (event.actor, event.body) == (
        f"person:{vaults.OFFICER}",
        {"purpose": "incident_investigation", "records": [record_id]},
    )
    assert sealed_reasons(vault) == ["夜間の件"]
    assert next(reading.parts())


def test_where_the_log_cannot_be_written_nothing_is_shown(vault: Vault) -> None:
    record_id = deposit(vault)
    vault.ground.sequencer.halt(UnavailableError("guard-unwritable", reason="OSError"))
    with refused(UnavailableError, "guard-unwritable"):
        read(vault, record_id)
    assert stored.events(vault, vaults.CONTRACT, EventKind.CONTENT_READ) == []


@pytest.mark.both_worlds
def test_many_records_are_read_under_one_event(vault: Vault) -> None:
    ids = [deposit(vault, crash_load.sound(n, 99), "call_recording") for n in range(5)]
    readings = vault.readings.read_many(vault.actor(vaults.OFFICER), vaults.CONTRACT, ids, PURPOSE)
    assert [content_of(reading) for reading in readings] == [crash_load.sound(n, 99) for n in range(5)]
    [event] = stored.events(vault, vaults.CONTRACT, EventKind.CONTENT_READ)
    assert event.body["records"] == ids


@pytest.mark.both_worlds
def test_of_many_nothing_is_shown_where_one_is_unknown(vault: Vault) -> None:
    ids = [deposit(vault), vaults.new_id()]
    with refused(NotFoundError, "record-unknown"):
        vault.readings.read_many(vault.actor(vaults.OFFICER), vaults.CONTRACT, ids, PURPOSE)
    assert stored.events(vault, vaults.CONTRACT, EventKind.CONTENT_READ) == []


@pytest.mark.both_worlds
@pytest.mark.parametrize("who", [vaults.ADMIN, vaults.WORKER, vaults.OPERATOR])
def test_a_denial_is_refused_and_logged(shared: Vault, who: str) -> None:
    record_id = deposit(shared)
    before = len(stored.events(shared, vaults.CONTRACT, EventKind.CONTENT_REFUSED))
    with refused(RefusedError, "not-allowed"):
        read(shared, record_id, who)
    denials = stored.events(shared, vaults.CONTRACT, EventKind.CONTENT_REFUSED)
    assert len(denials) == before + 1
    assert (denials[-1].actor, denials[-1].body["records"]) == (f"person:{who}", [record_id])


@pytest.mark.both_worlds
def test_whoever_may_read_nothing_does_not_learn_what_exists(shared: Vault) -> None:
    with refused(RefusedError, "not-allowed"):
        read(shared, vaults.new_id(), vaults.WORKER)
    with refused(NotFoundError, "record-unknown"):
        read(shared, vaults.new_id(), vaults.OFFICER)


def put_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def put_link(path: Path) -> None:
    path.symlink_to(path.rename(path.with_name("real")))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "gone": lambda path: path.unlink(),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "grown": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "empty": lambda path: path.write_bytes(b""),
    "first byte": lambda path: flip(path, 0),
    "header": lambda path: flip(path, 39),
    "first segment": lambda path: flip(path, 500),
    "second segment": lambda path: flip(path, SEGMENT + 500),
    "last byte": lambda path: flip(path, path.stat().st_size - 1),
    "a folder in its place": put_folder,
    "a link in its place": put_link,
}


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_reading_survives_the_loss_or_damage_of_either_copy(
    shared: Vault, damage: Callable[[Path], object], which: int
) -> None:
    record_id = deposit(shared)
    damage(copies(shared, record_id)[which])
    reading = read(shared, record_id)
    assert content_of(reading) == CLIP
    assert content_of(reading, SEGMENT + 400, 300) == CLIP[SEGMENT + 400 : SEGMENT + 700]
    with pytest.raises(KuraError):
        reading.check()


def test_two_damaged_copies_may_still_make_one_whole(shared: Vault) -> None:
    record_id = deposit(shared)
    first, second = copies(shared, record_id)
    flip(first, 2 * SEGMENT + 500)
    flip(second, 500)
    assert content_of(read(shared, record_id)) == CLIP


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_where_both_copies_are_damaged_alike_nothing_false_is_given(
    shared: Vault, damage: Callable[[Path], object]
) -> None:
    record_id = deposit(shared)
    for path in copies(shared, record_id):
        damage(path)
    given = bytearray()
    parts = read(shared, record_id).parts()
    with pytest.raises(KuraError):
        given.extend(b for part in parts for b in part)
    assert CLIP.startswith(bytes(given))


def test_another_records_object_never_opens_in_its_place(shared: Vault) -> None:
    one, other = deposit(shared), deposit(shared)
    for path, strange in zip(copies(shared, one), copies(shared, other), strict=True):
        path.write_bytes(strange.read_bytes())
    with refused(IntegrityError, "object-altered"):
        content_of(read(shared, one))


@pytest.mark.parametrize("class_id", ["surveillance_video", "call_recording"])
def test_a_whole_reading_is_compared_with_the_digest_of_the_deposit(vault: Vault, class_id: str) -> None:
    """Whoever could seal anew under the data key would still be found out, in a class with one copy or with two."""
    content = crash_load.video(1, 90) if class_id == "surveillance_video" else crash_load.sound(1, 90)
    record_id = deposit(vault, content, class_id)
    with vault.ground.engine.connect() as connection:
        record = read_records(connection, [record_id])[record_id]
        opened = opener_for(connection, vault.buckets.secrets, [record]).open(record)
    false = Metadata(bytes(32), opened.metadata.salt, opened.metadata.fields)
    sealed = false.seal(opened.data_key, vaults.CONTRACT, record_id, nonce=bytes(12))
    stored.change(vault, "UPDATE records SET sealed_metadata = :sealed", sealed=sealed)
    with refused(IntegrityError, "digest-differs"):
        content_of(read(vault, record_id))
    with refused(IntegrityError, "digest-differs"):
        read(vault, record_id).check()


ALTERED = {
    "wrapped key": ("UPDATE records SET wrapped_key = :wrong", 40, "data-key-altered"),
    "metadata": ("UPDATE records SET sealed_metadata = :wrong", 100, "sealed-part-altered"),
    "envelope": ("UPDATE envelopes SET sealed = :wrong", 80, "envelope-altered"),
}


@pytest.mark.both_worlds
@pytest.mark.parametrize(("statement", "size", "code"), ALTERED.values(), ids=ALTERED)
def test_altered_wraps_are_named_and_nothing_is_logged_as_shown(
    vault: Vault, statement: str, size: int, code: str
) -> None:
    record_id = deposit(vault)
    stored.change(vault, statement, wrong=bytes(size))
    with refused(IntegrityError, code):
        read(vault, record_id)
    assert stored.events(vault, vaults.CONTRACT, EventKind.CONTENT_READ) == []
