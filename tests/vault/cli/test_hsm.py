"""An operator with an HSM: one option at `kura init`, shares that open it, and a doctor who looks at it."""

from pathlib import Path

import engines
import pytest
from kura_command import Kura, served
from vaults import MANAGER, pdf

from vault.keys.pkcs11_uri import parse_hsm_uri

pytestmark = pytest.mark.engines

MADE = ("--policy", "nishinomiya", "--person", f"{MANAGER}:鈴木一郎:operations_manager")


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KURA_DIR", str(tmp_path / "vault"))
    monkeypatch.delenv("KURA_PASSPHRASE_FILE", raising=False)
    (tmp_path / "form.pdf").write_bytes(pdf(1))
    return tmp_path


def test_keys_in_an_hsm_opened_by_two_of_three(empty: Path, kura: Kura) -> None:
    uri = engines.new_hsm("outside")
    made = kura("init", "vault", *MADE, "--hsm", uri, "--shares", "2-of-3", "--json")
    assert made.code == 0, made.err
    assert f'hsm = "{uri}"' in (empty / "vault/kura.toml").read_text()
    sealed = kura("doctor", "--json")
    assert {one["check"]: one["level"] for one in sealed.json["checks"]}["hsm"] == "fine"
    (empty / "one").write_text(made.json["shares"][0])
    (empty / "two").write_text("\n".join(made.json["shares"][1:]))
    with served(empty, sealed=True):
        assert kura("unseal", "--passphrase-file", "one", "--json").error_code == "shares-too-few"
        opened = kura("unseal", "--passphrase-file", "two", "--json")
        assert (opened.code, opened.json["sealed"]) == (0, False)
    assert kura("verify", "--passphrase-file", "two", "--json").code == 0


def test_what_is_wrong_with_the_hsm_is_said_before_a_vault_is_made_and_by_the_doctor(empty: Path, kura: Kura) -> None:
    uri = engines.new_hsm("outside")
    init = ("init", "vault", *MADE, "--auto-unseal", "--json", "--hsm")
    assert kura(*init, uri.replace("pin-source", "pin-value")).error_code == "hsm-uri-wrong"
    assert not (empty / "vault").exists()
    assert kura(*init, uri.replace("taking-", "absent-")).error_code == "hsm-away"
    for left in ("vault", "vault.epoch"):  # a cut attempt is removed by hand
        (empty / left).rename(empty / f"{left}.cut")
    assert kura(*init, uri).code == 0
    address = parse_hsm_uri(uri)
    engines.run("softhsm", "away", address.token)
    examined = kura("doctor", "--json")
    levels = {one["check"]: one["level"] for one in examined.json["checks"]}
    assert (examined.code, levels["hsm"], levels["vault"]) == (1, "wrong", "wrong")
    engines.run("softhsm", "back", address.token)
    assert kura("doctor", "--json").code == 0
