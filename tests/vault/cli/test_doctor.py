from pathlib import Path

import engines
import pytest
from kura_command import Kura

from vault.cli.doctor import file_system_of
from vault.settings import read_settings

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
tmpfs /run tmpfs rw 0 0
/dev/sdb1 /srv/my\\040keys btrfs rw 0 0
overlay / overlay rw 0 0
"""


def levels(ran_json: dict[str, object]) -> dict[str, str]:
    checks = ran_json["checks"]
    assert isinstance(checks, list)
    return {check["check"]: check["level"] for check in checks}


@pytest.mark.both_worlds
def test_a_sound_vault(home: Path, kura: Kura) -> None:
    assert home.is_dir()
    examined = kura("doctor", "--json")
    assert (examined.code, examined.json["ok"]) == (0, True)
    assert kura("doctor", "--lang", "ja").out.count("\n") == len(examined.json["checks"])


@pytest.mark.engines
def test_a_database_that_will_not_do_is_named(home: Path, kura: Kura) -> None:
    examined = kura("doctor", "--json")
    assert (examined.code, levels(examined.json)["database"]) == (0, "fine")
    url = read_settings(home / "vault").database.url
    assert url is not None
    name = engines.name_of(url)
    for change, back, said in (
        ("GRANT UPDATE ON events TO kura_service;", "REVOKE UPDATE ON events FROM kura_service;", "could alter"),
        (
            f"ALTER DATABASE {name} SET synchronous_commit = off;",
            f"ALTER DATABASE {name} RESET synchronous_commit;",
            "synchronous_commit",
        ),
        (
            f"ALTER DATABASE {name} CONNECTION LIMIT 0;",
            f"ALTER DATABASE {name} CONNECTION LIMIT -1;",
            "does not answer",
        ),
    ):
        engines.sql(name, change)
        examined = kura("doctor", "--json")
        engines.sql(name, back)
        [found] = [check for check in examined.json["checks"] if check["check"] == "database"]
        assert (examined.code, found["level"]) == (1, "wrong")
        assert said in found["sentence"]
    assert kura("doctor", "--json").code == 0


def test_a_missing_store_is_wrong(home: Path, kura: Kura) -> None:
    (home / "vault/objects/b").rename(home / "away")
    examined = kura("doctor", "--json")
    assert (examined.code, levels(examined.json)["store 2"]) == (1, "wrong")
    assert "vault" not in levels(examined.json), "it opens with the other one"
    (home / "vault/objects/a").rename(home / "away too")
    examined = kura("doctor", "--json")
    assert (examined.code, levels(examined.json)["store 1"], levels(examined.json)["vault"]) == (1, "wrong", "wrong")


def test_missing_epoch_slots_are_wrong(home: Path, kura: Kura) -> None:
    (home / "vault.epoch").rename(home / "away")
    examined = kura("doctor", "--json")
    assert (examined.code, levels(examined.json)["epoch"]) == (1, "wrong")


def test_buckets_that_run_out_are_wrong(home: Path, kura: Kura, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home.is_dir()
    monkeypatch.setenv("KURA_BUCKETS__DAYS_AHEAD", "3")
    examined = kura("doctor", "--json")
    assert (examined.code, levels(examined.json)["contract nishinomiya"]) == (1, "wrong")


def test_a_folder_open_to_others_and_a_vault_that_opens_itself_are_warnings(home: Path, kura: Kura) -> None:
    (home / "vault").chmod(0o755)
    settings = home / "vault/kura.toml"
    settings.write_text(settings.read_text().replace("auto_unseal = false", "auto_unseal = true"))
    examined = kura("doctor", "--json")
    assert examined.code == 0
    assert (levels(examined.json)["folder"], levels(examined.json)["keys"]) == ("warning", "warning")


@pytest.mark.parametrize(
    ("place", "kind"),
    [("/var/lib", "overlay"), ("/run/x", "tmpfs"), ("/srv/my keys/kura", "btrfs"), ("/srv/my", "overlay")],
)
def test_the_file_system_of_a_place(place: str, kind: str) -> None:
    assert file_system_of(Path(place), MOUNTS) == kind
