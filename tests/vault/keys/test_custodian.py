"""What custodians type becomes 32 bytes, the same each time, and only for a store of their kind."""

import hashlib
import os

import pytest

from vault.errors import RefusedError
from vault.keys.custodian import CustodianParameters, CustodianSecret, PassphraseParameters, ShareParameters
from vault.keys.shares import split_secret

PARAMETERS = PassphraseParameters(salt=bytes(range(16)), log2_n=4)


def test_a_passphrase_is_stretched_with_scrypt() -> None:
    ours = CustodianSecret.from_passphrase("correct horse").derive(PARAMETERS)
    assert ours == hashlib.scrypt(b"correct horse", salt=bytes(range(16)), n=16, r=8, p=1, dklen=32)


@pytest.mark.parametrize("typed", ["ＡＢＣ １２３", "ABC\u3000123", "ABC 123"])
def test_full_width_typing_gives_the_same_secret(typed: str) -> None:
    plain = CustodianSecret.from_passphrase("ABC 123").derive(PARAMETERS)
    assert CustodianSecret.from_passphrase(typed).derive(PARAMETERS) == plain


@pytest.mark.parametrize("other", [PassphraseParameters(bytes(16), 4), PassphraseParameters(bytes(range(16)), 5)])
def test_salt_and_cost_matter(other: PassphraseParameters) -> None:
    secret = CustodianSecret.from_passphrase("correct horse")
    assert secret.derive(other) != secret.derive(PARAMETERS)


def test_any_sufficient_shares_give_the_same_secret() -> None:
    lines = [share.line() for share in split_secret(os.urandom(16), 2, 3)]
    parameters = ShareParameters(2, 3)
    some, others = CustodianSecret.from_shares(lines[:2]), CustodianSecret.from_shares(lines[:0:-1])
    assert some.derive(parameters) == others.derive(parameters)
    assert len(some.derive(parameters)) == 32
    assert some.new_parameters(bytes(16), 17) == parameters


@pytest.mark.parametrize("passphrase", ["", "  ", "\u3000\n"])
def test_an_empty_passphrase_is_refused(passphrase: str) -> None:
    with pytest.raises(RefusedError) as caught:
        CustodianSecret.from_passphrase(passphrase)
    assert caught.value.code == "passphrase-empty"


def test_a_store_of_shares_takes_no_passphrase_and_the_other_way_round() -> None:
    shares = CustodianSecret.from_shares([share.line() for share in split_secret(os.urandom(16), 2, 2)])
    cases: list[tuple[CustodianSecret, CustodianParameters]] = [
        (CustodianSecret.from_passphrase("x"), ShareParameters(2, 2)),
        (shares, PARAMETERS),
    ]
    for secret, parameters in cases:
        with pytest.raises(RefusedError) as caught:
            secret.derive(parameters)
        assert caught.value.code == "custodian-kind-wrong"


def test_no_secret_shows_when_printed() -> None:
    shares = split_secret(bytes(range(16)), 2, 2)
    printed = repr(CustodianSecret.from_passphrase("correct horse")) + repr(
        CustodianSecret.from_shares([share.line() for share in shares])
    )
    assert "correct" not in printed
    assert shares[0].value.hex() not in printed
    assert repr(shares[0].value) not in printed
