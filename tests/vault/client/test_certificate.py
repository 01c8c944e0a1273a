"""Key and certificate: made as a pair, checked as a pair, renewed as a pair."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ledger_vectors import refused

from vault.client import certificate as certificates
from vault.client import durable
from vault.client.station_folder import StationFolder
from vault.errors import RefusedError, UnavailableError

if TYPE_CHECKING:
    from tests.vault.client.conftest import Enroller

NAME = "counter-1"


def pair(path: Path) -> tuple[bytes, bytes]:
    return (path / f"{NAME}.key").read_bytes(), (path / f"{NAME}.crt").read_bytes()


def test_the_key_is_for_its_owner_alone_and_the_request_is_one(station_path: Path, enroller: "Enroller") -> None:
    assert (station_path / f"{NAME}.key").stat().st_mode & 0o777 == 0o600
    assert station_path.stat().st_mode & 0o077 == 0
    assert enroller.certify((station_path / f"{NAME}.csr").read_bytes())


def test_a_sound_pair_is_given(station_path: Path) -> None:
    assert StationFolder.read(station_path).certificate_checked().not_valid_after_utc


def test_a_key_that_others_may_read_is_refused(station_path: Path) -> None:
    for mode in (0o640, 0o604, 0o644):
        (station_path / f"{NAME}.key").chmod(mode)
        with refused(RefusedError, "station-key-readable"):
            StationFolder.read(station_path).certificate_checked()


def test_a_certificate_of_another_key_name_or_authority_is_refused(station_path: Path, enroller: "Enroller") -> None:
    request = (station_path / f"{NAME}.csr").read_bytes()
    other_key = certificates.write_new_key(station_path / "other.key", NAME)
    for issued in (
        enroller.certify(request, "counter-2"),
        enroller.certify(other_key),
        type(enroller).new().certify(request),
        b"no certificate",
        b"",
    ):
        (station_path / f"{NAME}.crt").write_bytes(issued)
        with refused(RefusedError, "station-pair-differs"):
            StationFolder.read(station_path).certificate_checked()


def test_a_missing_file_is_named(station_path: Path) -> None:
    for name in (f"{NAME}.key", f"{NAME}.crt", "vault-authority.crt"):
        copy = station_path.with_name("copy")
        shutil.copytree(station_path, copy)
        (copy / name).unlink()
        with pytest.raises(RefusedError) as caught:
            StationFolder.read(copy).certificate_checked()
        assert (caught.value.code, caught.value.facts) == ("station-file-missing", {"name": name})
        shutil.rmtree(copy)


def test_a_renewed_pair_is_another_pair(station_path: Path, enroller: "Enroller") -> None:
    before = pair(station_path)
    folder = StationFolder.read(station_path)
    folder.renew(enroller.certify)
    folder.certificate_checked()
    assert all(old != new for old, new in zip(before, pair(station_path), strict=True))
    assert not list(station_path.glob("*.next"))
    assert (station_path / f"{NAME}.key").stat().st_mode & 0o777 == 0o600


def answer_for_another_key(enroller: "Enroller", path: Path) -> Callable[[bytes], bytes]:
    return lambda _: enroller.certify(certificates.write_new_key(path / "other.key", NAME))


def test_what_does_not_belong_to_the_new_key_leaves_the_old_pair(station_path: Path, enroller: "Enroller") -> None:
    before = pair(station_path)
    folder = StationFolder.read(station_path)
    for certify in (
        answer_for_another_key(enroller, station_path),
        lambda request: enroller.certify(request, "counter-2"),
        lambda _: b"-----BEGIN",
    ):
        with refused(RefusedError, "station-pair-differs"):
            folder.renew(certify)
        assert pair(station_path) == before
        folder.finish_renewal()
        assert pair(station_path) == before


@pytest.mark.parametrize("step", range(5))
def test_a_renewal_cut_short_at_any_step_leaves_one_whole_pair(
    station_path: Path, enroller: "Enroller", monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    class CutError(Exception):
        pass

    folder, done = StationFolder.read(station_path), 0

    def cut_before(write: Callable[..., object]) -> Callable[..., object]:
        def run(*arguments: object) -> object:
            nonlocal done
            if done == step:
                raise CutError
            done += 1
            return write(*arguments)

        return run

    with monkeypatch.context() as patched:
        for module, name in (
            ("certificate", "replace_file"),
            ("certificate", "move_file"),
            ("station_folder", "replace_file"),
        ):
            target = f"vault.client.{module}.{name}"
            patched.setattr(target, cut_before(getattr(durable, name)))
        try:
            folder.renew(enroller.certify)
            was_cut = False
        except CutError:
            was_cut = True
    assert was_cut == (step < 4)
    again = StationFolder.read(station_path)
    again.finish_renewal()
    again.certificate_checked()
    assert not list(station_path.glob("*.crt.next"))


def test_a_certificate_is_due_in_its_last_third(station_path: Path) -> None:
    issued = StationFolder.read(station_path).certificate_checked()
    begin, end = issued.not_valid_before_utc, issued.not_valid_after_utc
    assert not certificates.is_due(issued, begin)
    assert not certificates.is_due(issued, end - (end - begin) / 3)
    assert certificates.is_due(issued, end - (end - begin) / 4)
    assert certificates.is_due(issued, end)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "vault.example",
        "http://vault.example",
        "https://",
        "https://vault.example/path",
        "https://vault.example?x",
        "https://name@vault.example",
        "https://vault.example:99999",
        "https://vault.example:port",
        'https://vault.example"',
        "https://vault.example\n",
        "https://蔵.example",
    ],
)
def test_an_address_that_is_none_makes_no_folder(tmp_path: Path, url: str) -> None:
    with refused(RefusedError, "station-url-malformed"):
        StationFolder.create(tmp_path / "station", url, NAME)
    assert not (tmp_path / "station").exists()


@pytest.mark.parametrize("name", ["", "Counter", "1", "a/b", "../x", "a" * 64, "a\n"])
def test_a_name_that_is_none_makes_no_folder(tmp_path: Path, name: str) -> None:
    with refused(RefusedError, "station-name-malformed"):
        StationFolder.create(tmp_path / "station", "https://vault.example", name)
    assert not (tmp_path / "station").exists()


def test_a_second_station_in_a_folder_is_refused_and_the_first_stays(station_path: Path) -> None:
    before = pair(station_path)
    with refused(RefusedError, "station-exists-here"):
        StationFolder.create(station_path, "https://vault.example", NAME)
    assert pair(station_path) == before


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with refused(UnavailableError, "station-folder-failed"):
        StationFolder.create(tmp_path / "file" / "station", "https://vault.example", NAME)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "vault",
        'vault = "https://vault.example"',
        'vault = "https://v.example"\nname = "a"\nkey = 1\ncertificate = "c"\nauthority = "a"\nlog_key = "l"',
        'vault = "https://v.example"\nname = "a"\nkey = "k"\ncertificate = "c"\nauthority = "a"\nlog_key = "l"\nx = 1',
        "\x00",
    ],
)
def test_settings_in_another_form_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "station.toml").write_text(text)
    with refused(RefusedError, "station-settings-malformed"):
        StationFolder.read(tmp_path)
