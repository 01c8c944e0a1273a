from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from ledger_vectors import SIGNED_NOTE, refused

from vault.errors import IntegrityError, RefusedError
from vault.ledger.note import (
    MAX_SIGNATURES,
    Note,
    NoteSignature,
    VerifierKey,
    derive_key_id,
    open_note,
    parse_note,
    sign_note,
)

GENERATED = SIGNED_NOTE["generated"]
NOTE: str = GENERATED["note"]
TEXT = NOTE[: NOTE.index("\n\n") + 1]
LINE = NOTE[len(TEXT) + 1 :]
KEY = VerifierKey.decode(GENERATED["vkey"])
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(GENERATED["seed_hex"]))


def signer(number: int) -> tuple[VerifierKey, Ed25519PrivateKey]:
    private = Ed25519PrivateKey.from_private_bytes(sha256(b"%d" % number).digest())
    return VerifierKey.named(f"signer.example/{number}", private.public_key().public_bytes_raw()), private


def line_of(number: int, text: str = TEXT) -> str:
    key, private = signer(number)
    return NoteSignature(key.name, key.key_id, private.sign(text.encode())).line()


def test_example_of_the_specification_opens() -> None:
    example = SIGNED_NOTE["spec_example"]
    assert open_note(example["note"], [VerifierKey.decode(example["vkey"])]) == "This is an example message.\n"


def test_note_of_sumdb_is_made_and_opened() -> None:
    assert KEY.name == GENERATED["name"]
    assert KEY.key_id.hex() == GENERATED["key_id_hex"]
    assert KEY.public_key.hex() == GENERATED["public_hex"]
    assert sign_note(TEXT, KEY, SIGNER.sign) == NOTE
    assert open_note(NOTE, [KEY]) == open_note(NOTE.encode(), [KEY]) == TEXT


@pytest.mark.parametrize("vector", SIGNED_NOTE["must_reject"], ids=lambda vector: vector["name"])
def test_notes_that_must_be_rejected_are(vector: dict[str, Any]) -> None:
    for note in (vector["note"], vector["note"].encode()):
        with pytest.raises(IntegrityError):
            open_note(note, [KEY])


@pytest.mark.parametrize("vkey", [GENERATED["vkey"], SIGNED_NOTE["spec_example"]["vkey"]])
def test_verifier_keys_are_read_back(vkey: str) -> None:
    assert VerifierKey.decode(vkey).encode() == vkey


def test_cosignatures_are_ignored_but_stay_readable() -> None:
    cosigned: str = SIGNED_NOTE["cosigned_checkpoint"]
    assert open_note(cosigned, [KEY]) == TEXT
    own, *others = parse_note(cosigned).signatures
    assert own == NoteSignature(KEY.name, KEY.key_id, SIGNER.sign(TEXT.encode()))
    for signature, vector in zip(others, SIGNED_NOTE["cosignatures"], strict=True):
        assert signature.key_name == vector["name"]
        assert signature.key_id.hex() == vector["key_id_hex"]
        assert int.from_bytes(signature.signature[:8], "big") == vector["timestamp"]
        assert signature.line() == vector["line"]
    assert parse_note(cosigned).encode() == cosigned


def test_key_ids_tell_signature_types_apart() -> None:
    witness = SIGNED_NOTE["cosignatures"][0]
    public_key = bytes.fromhex(witness["public_hex"])
    assert derive_key_id(witness["name"], 0x04, public_key).hex() == witness["key_id_hex"]
    assert derive_key_id(witness["name"], 0x01, public_key).hex() != witness["key_id_hex"]


def test_a_cosignature_key_is_not_a_note_key() -> None:
    for witness in SIGNED_NOTE["cosignatures"]:
        with refused(RefusedError, "verifier-key-malformed"):
            VerifierKey.decode(witness["vkey"])


@given(st.text(st.characters(exclude_categories=["Cs"], min_codepoint=0x20) | st.just("\n"), max_size=60))
def test_any_clean_text_is_signed_and_read_back(body: str) -> None:
    note = sign_note(body + "\n", KEY, SIGNER.sign)
    assert open_note(note.encode(), [KEY]) == body + "\n"
    assert parse_note(note).encode() == note


def test_text_may_hold_blank_lines_and_lines_that_look_like_signatures() -> None:
    text = f"first\n\n{LINE}\nlast\n"
    assert open_note(sign_note(text, KEY, SIGNER.sign), [KEY]) == text


@given(st.data())
def test_a_changed_character_anywhere_is_refused(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(NOTE) - 1))
    other = data.draw(st.characters().filter(lambda character: character != NOTE[at]))
    with pytest.raises(IntegrityError):
        open_note(NOTE[:at] + other + NOTE[at + 1 :], [KEY])


@given(st.data())
def test_a_flipped_bit_anywhere_is_refused(data: st.DataObject) -> None:
    changed = bytearray(NOTE.encode())
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(IntegrityError):
        open_note(bytes(changed), [KEY])


@given(st.binary(max_size=80) | st.text(max_size=80).map(lambda text: text + "\n\n— a " + text))
def test_garbage_is_refused_and_nothing_else_escapes(garbage: bytes | str) -> None:
    with pytest.raises(IntegrityError):
        open_note(garbage, [KEY])


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n",
        "\n\n",
        TEXT,
        TEXT + "\n",
        LINE,
        "\n" + LINE,
        TEXT + LINE,
        TEXT[:-1] + "\n" + LINE,
        NOTE[:-1],
        NOTE + "\n",
        NOTE + "\n\n",
        NOTE + "trailing\n",
        NOTE + "trailing",
        NOTE + LINE[:-1],
        NOTE.replace("\n", "\r\n"),
        NOTE.replace("\n", "\r"),
        NOTE.replace("70", "7\x000"),
        NOTE.replace("70", "70\t"),
        NOTE.replace("70", "70\x1f"),
        NOTE.replace("70", "70\ud800"),
        NOTE.replace("— ", "- "),
        NOTE.replace("— ", "\u2013 "),
        NOTE.replace("— ", "—"),
        NOTE.replace("— ", "—\u00a0"),
        NOTE.replace("— ", " — "),
        NOTE.replace("— ", "—  "),
        NOTE.replace(" jms", "  jms"),
        NOTE.replace(" jms", "\u3000jms"),
        NOTE.replace(" jms", "+x jms"),
        NOTE.replace(" jms", "\u2028x jms"),
        NOTE.replace(" jms", " x jms"),
        NOTE.replace(" jms", " "),
        NOTE.replace("1g4=", "1g4"),
        NOTE.replace("1g4=", "1g4=="),
        NOTE.replace("1g4=", "1g4= "),
        NOTE.replace("1g4=", "1g5="),
        NOTE.replace("1g4=", "1g4=AAAA"),
        NOTE.replace("jmsIj36A", "jmsIj36-"),
        TEXT + "\n— x \n",
        TEXT + "\n—  AAAAAAA=\n",
        TEXT + "\n— x AAAAAA==\n",
        TEXT + "\n— x\n",
        TEXT + "\n— \n",
        TEXT + "\n—\n",
    ],
)
def test_text_in_another_form_is_not_a_note(note: str) -> None:
    with refused(IntegrityError, "note-malformed"):
        parse_note(note)
    with refused(IntegrityError, "note-malformed"):
        open_note(note, [KEY])


@pytest.mark.parametrize("junk", [b"\xff", b"\xc0\x8a", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80"])
def test_bytes_that_are_not_utf8_are_not_a_note(junk: bytes) -> None:
    with refused(IntegrityError, "note-malformed"):
        open_note(junk + NOTE.encode(), [KEY])


def test_a_note_without_a_known_signature_is_refused() -> None:
    stranger, _ = signer(1)
    for keys in ([], [stranger]):
        with refused(IntegrityError, "note-unsigned"):
            open_note(NOTE, keys)


def test_keys_that_share_only_the_name_or_only_the_id_are_unknown() -> None:
    same_name = VerifierKey.named(KEY.name, signer(1)[0].public_key)
    with refused(IntegrityError, "note-unsigned"):
        open_note(NOTE, [same_name])
    renamed = NOTE.replace(f"— {KEY.name}", "— other.example/log")
    with refused(IntegrityError, "note-unsigned"):
        open_note(renamed, [KEY])


def test_a_wrong_signature_of_one_known_key_spoils_the_note() -> None:
    first, second = signer(1)[0], signer(2)[0]
    wrong = f"{TEXT}\n{line_of(1)}{line_of(2, 'another text')}"
    with refused(IntegrityError, "note-signature-invalid"):
        open_note(wrong, [first, second])
    assert open_note(wrong, [first]) == TEXT  # to whoever does not know the second key, its line says nothing


def test_a_right_signature_does_not_hide_a_wrong_one_of_the_same_key() -> None:
    with refused(IntegrityError, "note-signature-invalid"):
        open_note(f"{TEXT}\n{line_of(1)}{line_of(1, 'another text')}", [signer(1)[0]])


@pytest.mark.parametrize("length", [1, 63, 65])
def test_a_signature_of_the_wrong_length_is_refused(length: int) -> None:
    signature = (SIGNER.sign(TEXT.encode()) + b"\x00")[:length]
    with refused(IntegrityError, "note-signature-invalid"):
        open_note(Note(TEXT, (NoteSignature(KEY.name, KEY.key_id, signature),)).encode(), [KEY])


@pytest.mark.parametrize("count", [1, 16, MAX_SIGNATURES])
def test_many_signatures_are_accepted(count: int) -> None:
    note = TEXT + "\n" + "".join(line_of(number) for number in range(count))
    assert open_note(note, [signer(count - 1)[0]]) == TEXT
    assert open_note(note, [signer(number)[0] for number in range(count)]) == TEXT


def test_too_many_signatures_are_refused() -> None:
    note = TEXT + "\n" + line_of(0) * (MAX_SIGNATURES + 1)
    with refused(IntegrityError, "note-malformed"):
        open_note(note, [signer(0)[0]])


@pytest.mark.parametrize("text", ["", "no newline", "nul\x00\n", "tab\t\n", "return\r\n", "half \ud800\n"])
def test_text_that_no_note_may_hold_is_not_signed(text: str) -> None:
    with refused(RefusedError, "note-text-unsignable"):
        sign_note(text, KEY, SIGNER.sign)


def test_what_is_not_a_signature_is_not_put_into_a_note() -> None:
    with refused(IntegrityError, "note-signature-invalid"):
        sign_note(TEXT, KEY, lambda message: message)


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "+",
        "++",
        "name",
        GENERATED["vkey"].replace("8e6b088f", "8e6b088e"),
        GENERATED["vkey"].replace("8e6b088f", "8E6B088F"),
        GENERATED["vkey"].replace("8e6b088f", "8e6b08"),
        GENERATED["vkey"].replace("8e6b088f", "8e 6b 08 8f"),
        GENERATED["vkey"].replace("8e6b088f", "nothexes"),
        GENERATED["vkey"].replace("audit", "other"),
        GENERATED["vkey"].replace("/audit", " audit"),
        GENERATED["vkey"].replace(GENERATED["name"], ""),
        GENERATED["vkey"].replace(GENERATED["name"], "\ud800"),
        GENERATED["vkey"][:-1],
        GENERATED["vkey"] + "\n",
        GENERATED["vkey"] + "AAAA",
        GENERATED["vkey"].replace("+AbYR", "+BLYR"),
        GENERATED["skey"],
    ],
)
def test_verifier_keys_in_another_form_are_refused(vkey: str) -> None:
    with refused(RefusedError, "verifier-key-malformed"):
        VerifierKey.decode(vkey)


@pytest.mark.parametrize("name", ["", " ", "a b", "a+b", "a\nb", "a\u3000b", "a\u2028b", "a\x00", "\ud800"])
def test_names_that_no_key_may_have_are_refused(name: str) -> None:
    with refused(RefusedError, "verifier-key-malformed"):
        VerifierKey.named(name, KEY.public_key)
    with refused(RefusedError, "verifier-key-malformed"):
        VerifierKey(name, KEY.key_id, KEY.public_key)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_keys_of_the_wrong_length_are_refused(length: int) -> None:
    with refused(RefusedError, "verifier-key-malformed"):
        VerifierKey.named(KEY.name, bytes(length))
