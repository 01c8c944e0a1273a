"""Keys in an HSM beyond what every store promises: a device that goes away, other processes, and what it is told."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import engines
import key_places
import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding, aes_key_wrap_with_padding
from key_places import HSMS, VAULT, WORDS, HsmPlace
from ledger_vectors import refused
from pkcs11.constants import Attribute, ObjectClass
from pkcs11.mechanisms import KeyType, Mechanism

from vault.errors import ConflictError, IntegrityError, KuraError, NotFoundError, RefusedError, UnavailableError
from vault.keys.pkcs11_health import hsm_problems
from vault.keys.pkcs11_keystore import Pkcs11KeyStore
from vault.keys.pkcs11_session import TokenSession, find, read_pin
from vault.keys.pkcs11_uri import parse_hsm_uri
from vault.keys.pkcs11_wrapping import unwrap, wrap, wrapping_mechanism

pytestmark = pytest.mark.engines

AT = datetime(2031, 4, 1, tzinfo=UTC)
DATA_KEY = bytes(range(32))
KWP = json.loads((Path(__file__).parents[2] / "vectors" / "aes_kwp.json").read_text())["vectors"]
WHOLE_BLOCKS = [vector for vector in KWP if len(vector["key_hex"]) % 16 == 0]
ROOT, SUPPORT = Path(__file__).parents[3], Path(key_places.__file__).parent


@pytest.fixture(params=HSMS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> HsmPlace:
    made: HsmPlace = request.param(tmp_path)
    return made


@pytest.fixture
def inside(tmp_path: Path) -> HsmPlace:
    return HsmPlace("inside", tmp_path)


@pytest.fixture
def outside(tmp_path: Path) -> HsmPlace:
    return HsmPlace("outside", tmp_path)


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(KuraError) as caught:
        act()
    return caught.value.code


def in_another_process(place: HsmPlace, act: str) -> str:
    """Run a line on `store`, the same store opened by another process; give what it prints."""
    process = another_process(place, act)
    said, _ = process.communicate()
    assert process.returncode == 0
    return said.strip()


def another_process(place: HsmPlace, act: str) -> "subprocess.Popen[str]":
    program = (
        "from pathlib import Path; from datetime import UTC, datetime\n"
        "from key_places import VAULT, WORDS; from vault.keys.pkcs11_keystore import Pkcs11KeyStore\n"
        "from vault.keys.pkcs11_uri import parse_hsm_uri\n"
        f"store = Pkcs11KeyStore(parse_hsm_uri({place.uri!r}), VAULT, Path({str(place.path)!r})); store.unseal(WORDS)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(SUPPORT)])}
    return subprocess.Popen(
        [sys.executable, "-c", program + act],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def listed(label: str, pin: str) -> str:
    """List the objects of a token with a tool that nobody here wrote."""
    command = ["pkcs11-tool", "--module", os.environ["HSM_MODULE"], "--token-label", label, "--login", "--pin", pin]
    return subprocess.run([*command, "--list-objects"], capture_output=True, text=True, check=True).stdout


def test_a_device_that_is_gone_seals_the_store_and_signing_resumes_by_itself(place: HsmPlace) -> None:
    store = place.opened()
    signer, (key_id,) = store.create_signing_key(), store.create_disposal_keys(1)
    wrapped = store.wrap(key_id, DATA_KEY)
    place.away()
    assert code_of(partial(store.unwrap, key_id, wrapped)) == "hsm-away"
    assert store.is_sealed
    assert code_of(partial(store.sign, signer, b"head")) == "hsm-away"
    assert code_of(store.signing_key_ids) == "hsm-away"
    assert code_of(partial(store.unseal, WORDS)) == "hsm-away"
    assert code_of(place.stored) == "hsm-away"
    place.back()
    assert len(store.sign(signer, b"head")) == 64
    assert store.is_sealed
    assert code_of(partial(store.unwrap, key_id, wrapped)) == "vault-sealed"
    store.unseal(WORDS)
    assert store.unwrap(key_id, wrapped) == DATA_KEY
    store.check()


@pytest.mark.parametrize(
    "act",
    [
        lambda store, key_id: store.wrap(key_id, DATA_KEY),
        lambda store, _: store.wrap("ab" * 16, DATA_KEY),
        lambda store, key_id: store.destroy([key_id], AT),
        lambda store, _: store.create_disposal_keys(2),
        lambda store, _: store.create_signing_key(),
        lambda store, _: store.create_certificate_key(),
        lambda store, _: store.disposal_key_ids(),
        lambda store, _: store.tombstones(),
        lambda store, _: store.replace_custodian(WORDS, scrypt_log2_n=4),
        lambda store, _: store.check(),
    ],
    ids=["wrap", "unknown", "destroy", "create", "signer", "certifier", "ids", "tombstones", "custodian", "check"],
)
def test_whatever_meets_a_device_that_is_gone_says_so_and_changed_nothing(
    place: HsmPlace, act: Callable[[Pkcs11KeyStore, str], object]
) -> None:
    store = place.opened()
    (key_id,) = store.create_disposal_keys(1)
    place.away()
    assert code_of(lambda: act(store, key_id)) == "hsm-away"
    assert code_of(lambda: act(store, key_id)) in {"hsm-away", "vault-sealed"}
    place.back()
    again = place.opened()
    assert again.disposal_key_ids() == {key_id}
    assert not again.tombstones()
    again.check()


def test_a_store_opened_by_others_of_the_process_outlives_a_device_begun_anew(place: HsmPlace, tmp_path: Path) -> None:
    store = place.opened()
    (key_id,) = store.create_disposal_keys(1)
    wrapped = store.wrap(key_id, DATA_KEY)
    other = HsmPlace("inside", tmp_path / "other")  # its tokens are seen after the library has begun anew
    assert store.unwrap(key_id, wrapped) == DATA_KEY
    other.away()
    assert code_of(other.opened) == "hsm-away"
    assert store.unwrap(key_id, wrapped) == DATA_KEY
    other.back()


def test_a_key_that_another_process_made_is_found(inside: HsmPlace) -> None:
    store = inside.opened()
    theirs = in_another_process(inside, "print(*store.create_disposal_keys(2), store.create_signing_key())").split()
    assert store.disposal_key_ids() == set(theirs[:2])
    assert store.unwrap(theirs[0], store.wrap(theirs[0], DATA_KEY)) == DATA_KEY
    assert store.signing_key_ids() == {theirs[2]}
    assert len(store.sign(theirs[2], b"head")) == 64


def test_keys_that_two_processes_make_at_the_same_moment_are_found_by_both(inside: HsmPlace) -> None:
    store = inside.opened()
    makes = "while input():\n    print(*store.create_disposal_keys(1), store.create_signing_key(), flush=True)"
    with another_process(inside, makes) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        for _ in range(8):
            other.stdin.write("one more\n")
            other.stdin.flush()
            store.create_disposal_keys(1)
            store.create_signing_key()
            disposal, signer = other.stdout.readline().split()
            assert store.unwrap(disposal, store.wrap(disposal, DATA_KEY)) == DATA_KEY
            assert len(store.sign(signer, b"head")) == 64
            assert disposal in store.disposal_key_ids()
        other.stdin.write("\n")
    assert not store.is_sealed


def test_a_key_that_another_process_destroyed_opens_nothing_by_a_handle_kept(place: HsmPlace) -> None:
    store = place.opened()
    doomed, kept = store.create_disposal_keys(2)
    wrapped = store.wrap(doomed, DATA_KEY)
    in_another_process(place, f"store.destroy(['{doomed}'], datetime(2031, 4, 1, tzinfo=UTC))")
    assert code_of(partial(store.unwrap, doomed, wrapped)) == "disposal-key-destroyed"
    assert code_of(partial(store.wrap, doomed, DATA_KEY)) == "disposal-key-destroyed"
    assert store.unwrap(kept, store.wrap(kept, DATA_KEY)) == DATA_KEY
    assert not store.is_sealed


def test_a_forked_child_does_not_touch_its_parents_device(inside: HsmPlace) -> None:
    store = inside.opened()
    signer = store.create_signing_key()
    if (pid := os.fork()) == 0:
        try:
            os._exit(0 if code_of(partial(store.sign, signer, b"head")) == "hsm-away" else 1)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert len(store.sign(signer, b"head")) == 64


def test_the_device_holds_what_it_should_and_lets_no_key_out(inside: HsmPlace) -> None:
    store = inside.opened()
    store.destroy(store.create_disposal_keys(3)[:1], AT)
    store.create_signing_key()
    store.create_certificate_key()
    on_taking = listed(inside.taking, engines.PIN)
    assert on_taking.count("Private Key Object") == on_taking.count("Public Key Object") == 2
    assert (on_taking.count("Data object"), on_taking.count("Secret Key Object")) == (1, 0)
    opening = store._parts.opening  # noqa: SLF001 - looked at as the process that has it open could
    with opening.library.alone():
        keys = find(opening.session(), {Attribute.CLASS: ObjectClass.SECRET_KEY})
        assert {(key[Attribute.SENSITIVE], key[Attribute.EXTRACTABLE], key[Attribute.LOCAL]) for key in keys} == {
            (True, False, True)
        }
        assert len(keys) == 2
        assert len(find(opening.session(), {Attribute.CLASS: ObjectClass.DATA})) == 1
    command = ["pkcs11-tool", "--module", os.environ["HSM_MODULE"], "--token-label", inside.opening, "--login"]
    done = subprocess.run([*command, "--pin", engines.PIN, "-O"], capture_output=True, text=True, check=False)
    assert "CKR_PIN_INCORRECT" in done.stderr  # the PIN file opens nothing


def test_the_pin_of_the_opening_token_lasts_as_long_as_the_opening(inside: HsmPlace) -> None:
    store = inside.opened()
    (key_id,) = store.create_disposal_keys(1)
    store.seal()
    opening = store._parts.opening  # noqa: SLF001 - as above
    with opening.library.alone():
        session = opening.library.token(inside.opening).open()
        assert list(session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY})) == []
        session.close()
    store.unseal(WORDS)
    assert store.disposal_key_ids() == {key_id}


@pytest.mark.parametrize("vector", WHOLE_BLOCKS, ids=lambda v: v["name"])
def test_the_device_and_the_software_wrap_alike(inside: HsmPlace, vector: dict[str, str]) -> None:
    kek, plain, wrapped = (bytes.fromhex(vector[name]) for name in ("kek_hex", "key_hex", "wrapped_hex"))
    taking = inside.stored()._parts.taking  # noqa: SLF001 - a session is needed
    with taking.library.alone():
        session = taking.session()
        key = session.create_object(
            {
                Attribute.CLASS: ObjectClass.SECRET_KEY,
                Attribute.KEY_TYPE: KeyType.AES,
                Attribute.VALUE: kek,
                Attribute.TOKEN: False,
                Attribute.WRAP: True,
                Attribute.UNWRAP: True,
            }
        )
        mechanism = wrapping_mechanism(session, None)
        assert mechanism is Mechanism.AES_KEY_WRAP_PAD
        assert wrap(session, key, mechanism, plain) == wrapped
        assert unwrap(session, key, mechanism, wrapped, "") == plain
        for length in (8, 16, 40, 1000):
            data = os.urandom(length)
            assert aes_key_unwrap_with_padding(kek, wrap(session, key, mechanism, data)) == data
            assert unwrap(session, key, mechanism, aes_key_wrap_with_padding(kek, data), "") == data


@pytest.mark.parametrize("number", ["0x2109", "0x210b", "0x1085", "1"])
def test_a_mechanism_that_is_not_rfc_5649_is_refused(inside: HsmPlace, number: str) -> None:
    inside.uri += f"&wrap-mechanism={number}"
    with refused(RefusedError, "hsm-mechanism-wrong"):
        inside.stored()
    assert [error.code for error in hsm_problems(parse_hsm_uri(inside.uri))] == ["hsm-mechanism-wrong"]


def test_a_named_mechanism_that_is_right_is_taken(inside: HsmPlace) -> None:
    inside.uri += "&wrap-mechanism=0x210a"
    assert inside.opened().create_disposal_keys(1)
    assert list(hsm_problems(parse_hsm_uri(inside.uri))) == []


def test_a_pin_file_that_others_may_read_is_refused(inside: HsmPlace, tmp_path: Path) -> None:
    pin_file = tmp_path / "pin"
    uri = inside.uri.replace(str(parse_hsm_uri(inside.uri).pin_file), str(pin_file))
    for text, mode, code in [
        (None, 0, "hsm-pin-file"),
        ("", 0o600, "hsm-pin-file"),
        (engines.PIN, 0o640, "hsm-pin-file"),
        (engines.PIN, 0o604, "hsm-pin-file"),
        ("000000", 0o600, "hsm-pin-wrong"),
    ]:
        if text is not None:
            pin_file.write_text(text)
            pin_file.chmod(mode)
        token = TokenSession(  # in a process that is logged in already, a PIN is compared with the one that was right
            inside.stored()._parts.library,  # noqa: SLF001 - as above
            inside.taking,
            None,
            partial(read_pin, parse_hsm_uri(uri).pin_file),
            read_only=True,
        )
        assert code_of(partial(token.run, lambda session: session)) == code


def test_two_vaults_share_a_taking_token_and_see_nothing_of_each_other(inside: HsmPlace, tmp_path: Path) -> None:
    other = parse_hsm_uri(engines.new_hsm())
    uri = inside.uri.replace(inside.opening, other.opening_token)
    theirs = Pkcs11KeyStore.create(parse_hsm_uri(uri), "f" * 16, tmp_path / "other", WORDS, scrypt_log2_n=4)
    ours = inside.opened()
    one, two = ours.create_signing_key(), theirs.create_signing_key()
    assert ours.signing_key_ids() == {one}
    assert theirs.signing_key_ids() == {two}
    with refused(NotFoundError, "signing-key-unknown"):
        ours.sign(two, b"head")


def test_tokens_are_not_set_up_twice(inside: HsmPlace, tmp_path: Path) -> None:
    address = parse_hsm_uri(inside.uri)
    with refused(RefusedError, "hsm-opening-taken"):
        Pkcs11KeyStore.create(address, "f" * 16, tmp_path / "other", WORDS, scrypt_log2_n=4)
    fresh = parse_hsm_uri(engines.new_hsm()).opening_token
    with refused(ConflictError, "key-store-exists"):
        uri = inside.uri.replace(inside.opening, fresh)
        Pkcs11KeyStore.create(parse_hsm_uri(uri), VAULT, tmp_path / "other", WORDS, scrypt_log2_n=4)
    with refused(NotFoundError, "hsm-not-set-up"):
        Pkcs11KeyStore(address, "f" * 16, tmp_path / "other")
    command = ["softhsm2-util", "--init-token", "--free", "--label", inside.taking, "--so-pin", "1234", "--pin", "1234"]
    subprocess.run(command, capture_output=True, check=True)
    store = inside.stored
    store_library = inside.opened()._parts.library  # noqa: SLF001 - as above
    with store_library.alone():
        store_library.begin_anew(store_library.generation)
    with refused(RefusedError, "hsm-token-ambiguous"):
        store()
    engines.run("softhsm", "drop", inside.taking)


def test_the_problems_of_a_device_are_said(inside: HsmPlace) -> None:
    address = parse_hsm_uri(inside.uri)
    assert list(hsm_problems(address)) == []
    command = ["pkcs11-tool", "--module", os.environ["HSM_MODULE"], "--token-label", inside.opening, "--login"]
    subprocess.run([*command, "--pin", "000000", "-O"], capture_output=True, check=False)
    assert [error.code for error in hsm_problems(address)] == ["hsm-pin-low"]
    inside.away()
    assert [error.code for error in hsm_problems(address)] == ["hsm-away"]
    inside.back()
    broken = parse_hsm_uri(inside.uri.replace(os.environ["HSM_MODULE"], "/nowhere/hsm.so"))
    assert [error.code for error in hsm_problems(broken)] == ["hsm-away"]


def test_no_copy_of_the_file_made_before_a_destruction_opens_afterwards(outside: HsmPlace) -> None:
    store = outside.opened()
    ids = store.create_disposal_keys(3)
    wrapped = {key_id: store.wrap(key_id, DATA_KEY) for key_id in ids}
    for doomed in ids[:2]:
        copy = outside.path.read_bytes()
        store.destroy([doomed], AT)
        newest = outside.path.read_bytes()
        outside.path.write_bytes(copy)
        assert code_of(outside.opened) == "key-file-outdated"
        outside.path.write_bytes(newest)
    again = outside.opened()
    assert again.disposal_key_ids() == set(ids[2:])
    assert again.unwrap(ids[2], wrapped[ids[2]]) == DATA_KEY
    again.check()


def test_every_flipped_byte_of_the_file_is_found_and_changes_nothing(outside: HsmPlace) -> None:
    store = outside.opened()
    store.destroy(store.create_disposal_keys(2)[:1], AT)
    store.seal()
    good = outside.path.read_bytes()
    for position in range(len(good)):
        damaged = good[:position] + bytes([good[position] ^ (1 << position % 8)]) + good[position + 1 :]
        outside.path.write_bytes(damaged)
        with pytest.raises(IntegrityError):
            store.unseal(WORDS)
        assert store.is_sealed
        assert outside.path.read_bytes() == damaged
    outside.path.write_bytes(good)
    store.unseal(WORDS)
    assert len(store.disposal_key_ids()) == 1


def test_a_file_that_another_process_wrote_is_not_written_over(outside: HsmPlace) -> None:
    store = outside.opened()
    theirs = in_another_process(outside, "print(*store.create_disposal_keys(1))")
    with refused(IntegrityError, "key-file-changed"):
        store.create_disposal_keys(1)
    with refused(IntegrityError, "key-file-changed"):
        store.check()
    assert outside.opened().disposal_key_ids() == {theirs}


def test_no_key_of_the_file_stands_in_it_and_it_is_private(outside: HsmPlace) -> None:
    store = outside.opened()
    (key_id,) = store.create_disposal_keys(1)
    text = outside.path.read_text()
    assert text.startswith("kura-wrapped-keys\n")
    assert key_id in text
    assert outside.path.stat().st_mode & 0o777 == 0o600
    outside.path.unlink()
    with refused(UnavailableError, "key-store-unreadable"):
        store.create_disposal_keys(1)
    with refused(NotFoundError, "key-file-missing"):
        outside.opened()
