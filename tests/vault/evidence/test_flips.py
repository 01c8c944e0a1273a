"""Every flipped bit is found and named: seeded draws from every table, every column, and every kind of file."""

import random
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import stored
from full_vault import FullVault, make_full_vault
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError
from vaults import custodian

from vault.bootstrap import verify_vault
from vault.evidence.verdict import Verdict
from vault.storage.tables import Base

FLIPS = 560
SEEDS = range(8)
ROOT = Path(__file__).parents[3]

KINDS = {
    "object, first store": r"objects/a/[0-9a-f]{2}/[0-9a-f]{32}",
    "object, second store": r"objects/b/[0-9a-f]{2}/[0-9a-f]{32}",
    "published tile": r"ledgers/[a-z0-9.]+/tile/.+",
    "published checkpoint": r"ledgers/[a-z0-9.]+/checkpoint",
    "key store": r"keys/store",
    "epoch slot": r"epoch/epoch-[01]",
    "guard": r"epoch/guard-[a-z0-9.]+",
}
OPERATIONAL_FILES = (r"kura\.toml", r"lock", r"keys/.*lock", r"epoch/.*lock")
DATABASE_FILE = r"kura\.db(-wal|-shm)?"  # flipped by column


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> FullVault:
    return make_full_vault(tmp_path_factory.mktemp("flips"))


def operational_columns() -> set[str]:
    text = (ROOT / "docs" / "formats.md").read_text("utf-8")
    section = text.split("## Operational columns", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"^- `([a-z_]+\.[a-z_*]+)`", section, re.MULTILINE))


def columns() -> list[tuple[str, str]]:
    operational = operational_columns()
    known = {(table.name, column.name) for table in Base.metadata.sorted_tables for column in table.columns}
    unknown = {name for name in operational if not any(name in {f"{t}.{c}", f"{t}.*"} for t, c in known)}
    assert not unknown, f"docs/formats.md lists columns that do not exist: {unknown}"
    covered = {(t, c) for t, c in known if not {f"{t}.{c}", f"{t}.*"} & operational}
    return sorted(covered | {("alembic_version", "version_num")})


def files(full: FullVault) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {kind: [] for kind in KINDS}
    for top, prefix in ((full.folder, ""), (full.epoch_dir, "epoch/")):
        for path in sorted(path for path in top.rglob("*") if path.is_file()):
            name = prefix + path.relative_to(top).as_posix()
            kinds = [kind for kind, pattern in KINDS.items() if re.fullmatch(pattern, name)]
            if kinds:
                found[kinds[0]].append(path)
            elif not any(re.fullmatch(pattern, name) for pattern in (*OPERATIONAL_FILES, DATABASE_FILE)):
                pytest.fail(f"a kind of file that this test does not know: {name}")
    return found


def is_sound(full: FullVault) -> bool:
    return verify_vault(full.folder, custodian()).is_sound


def has_lost_its_place(verdict: Verdict) -> bool:
    """Whether all that is known is that some check of some record did not finish."""
    return ("check-unfinished", "records") in {(finding.code, finding.what) for finding in verdict.findings}


def flip_column(full: FullVault, table: str, column: str, rng: random.Random) -> None:
    with stored.tampering(full.folder) as database:
        keys = inspect(database).get_pk_constraint(table)["constrained_columns"]
        query = text(f"SELECT {column}, {', '.join(keys)} FROM {table} WHERE {column} IS NOT NULL")  # noqa: S608 - ours
        rows = [tuple(row) for row in database.execute(query) if row[0] != b""]
        assert rows, f"{table}.{column} has no value in the sample: extend it"
        value, *found = rng.choice(rows)
        key = dict(zip(keys, found, strict=True))
        other = flipped(value, rng)
        there = " AND ".join(f"{name} = :key_{name}" for name in keys)
        update = text(f"UPDATE {table} SET {column} = :value WHERE {there}")  # noqa: S608 - ours
        try:
            assert database.execute(update, given(other, key)).rowcount == 1
        except IntegrityError:
            return  # the database itself refuses it: another row has that key, or no such value may be
        verdict = verify_vault(full.folder, custodian())
        assert verdict.findings, f"a flipped {table}.{column} in row {key} was not found"
        assert not has_lost_its_place(verdict), f"what is wrong with {table}.{column} in row {key} was not named"
        assert database.execute(update, given(value, {name: other if name == column else key[name] for name in key}))


def given(value: object, key: dict[str, object]) -> dict[str, object]:
    return {"value": value} | {f"key_{name}": part for name, part in key.items()}


def flipped(value: Any, rng: random.Random) -> bytes | str | int | date:  # noqa: ANN401 - of a column of any type
    if isinstance(value, bool):
        return not value
    if isinstance(value, date):
        return value + timedelta(days=1 << rng.randrange(10))
    if isinstance(value, int):
        return value ^ 1 << rng.randrange(40)
    if isinstance(value, bytes):
        altered = bytearray(value)
        altered[rng.randrange(len(value))] ^= 1 << rng.randrange(8)
        return bytes(altered)
    place = rng.randrange(len(value))
    return str(value[:place] + chr(ord(value[place]) ^ 1 << rng.randrange(5)) + value[place + 1 :])


def flip_file(full: FullVault, path: Path, rng: random.Random) -> None:
    whole = path.read_bytes()
    altered = bytearray(whole)
    altered[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
    path.write_bytes(altered)
    try:
        verdict = verify_vault(full.folder, custodian())
        assert verdict.findings, f"a flipped bit of {path.name} was not found"
        assert not has_lost_its_place(verdict), f"what is wrong with {path.name} was not named"
        assert all(finding.what and finding.sentence("ja") for finding in verdict.findings)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_flipped_bit_is_found(full: FullVault, seed: int) -> None:
    rng = random.Random(seed)
    by_kind = files(full)
    assert all(by_kind.values()), f"a kind of file is not in the sample: {by_kind}"
    targets: list[tuple[str, str] | str] = [*columns(), *KINDS]
    share = FLIPS // len(SEEDS)
    drawn = [targets[(seed * share + offset) % len(targets)] for offset in range(share)]
    for target in drawn:
        if isinstance(target, tuple):
            flip_column(full, *target, rng)
        else:
            flip_file(full, rng.choice(by_kind[target]), rng)
    assert is_sound(full)


@pytest.mark.engines
def test_a_flipped_bit_in_any_table_of_postgresql_is_found(full: FullVault) -> None:
    """What is compared is the same as above, and so are the files; read are other tables."""
    rng = random.Random(9)
    covered = columns()
    for table in sorted({name for name, _ in covered}):
        flip_column(full, table, rng.choice([column for name, column in covered if name == table]), rng)
    assert is_sound(full)


def test_the_draws_cover_every_column_and_every_kind_of_file() -> None:
    assert len(columns()) + len(KINDS) < FLIPS // 2


@pytest.mark.both_worlds
def test_an_unaltered_vault_is_sound_with_and_without_keys(full: FullVault) -> None:
    verdict = verify_vault(full.folder, custodian())
    assert verdict.findings == []
    assert verdict.counts["records"] == 17
    assert verify_vault(full.folder, None, keyless=True).findings == []


def test_a_missing_file_of_any_kind_is_found(full: FullVault) -> None:
    for paths in files(full).values():
        whole = paths[0].read_bytes()
        paths[0].unlink()
        assert not is_sound(full), paths[0].name
        paths[0].write_bytes(whole)
    assert is_sound(full)


def test_without_the_custodians_secret_the_check_is_not_passed(full: FullVault) -> None:
    verdict = verify_vault(full.folder, None)
    assert [finding.code for finding in verdict.findings] == ["vault-sealed"]
