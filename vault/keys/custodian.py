"""What custodians bring to open a key store, and the 32 bytes derived from it; leaves out what these open."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from vault.errors import RefusedError
from vault.keys.shares import Share, combine_shares, parse_share

SECRET_BYTES = 32
SALT_BYTES = 16
SCRYPT_LOG2_N = 17
_SCRYPT_R, _SCRYPT_P = 8, 1
_SHARES_INFO = b"kura custodian secret from shares v1"


@dataclass(frozen=True, slots=True)
class PassphraseParameters:
    """How a key store's passphrase becomes its custodian secret: scrypt (RFC 7914) with r = 8 and p = 1.

    Attributes:
        salt: 16 random bytes.
        log2_n: cost; memory is 2**log2_n KiB.
    """

    salt: bytes
    log2_n: int


@dataclass(frozen=True, slots=True)
class ShareParameters:
    """How many custodians open a key store that is opened by shares."""

    threshold: int
    count: int


CustodianParameters = PassphraseParameters | ShareParameters


@dataclass(frozen=True, slots=True)
class CustodianSecret:
    """What custodians typed: a passphrase or their shares. Say which by `from_passphrase` or `from_shares`."""

    passphrase: bytes | None = field(repr=False)
    shares: tuple[Share, ...] = field(repr=False)

    @classmethod
    def from_passphrase(cls, passphrase: str) -> "CustodianSecret":
        """Take a passphrase.

        It is normalised to NFKC, so that full-width letters and other ways of typing the same text do not matter.

        Raises:
            RefusedError: `passphrase-empty`.
        """
        if not passphrase.strip():
            raise RefusedError("passphrase-empty")
        return cls(unicodedata.normalize("NFKC", passphrase).encode(), ())

    @classmethod
    def from_shares(cls, lines: Sequence[str]) -> "CustodianSecret":
        """Take the lines that custodians typed, in any order, at least as many as are needed.

        Raises:
            RefusedError: `share-mistyped`, `share-duplicated`, `shares-mixed` or `shares-too-few`.
        """
        shares = tuple(parse_share(line, position) for position, line in enumerate(lines, 1))
        combine_shares(shares)
        return cls(None, shares)

    def new_parameters(self, salt: bytes, scrypt_log2_n: int) -> CustodianParameters:
        """Give the parameters of a new key store that this secret shall open.

        Args:
            salt: 16 random bytes.
            scrypt_log2_n: cost of the passphrase; nothing to shares, which are random already.
        """
        if self.passphrase is not None:
            return PassphraseParameters(salt, scrypt_log2_n)
        return ShareParameters(self.shares[0].threshold, self.shares[0].count)

    def derive(self, parameters: CustodianParameters) -> bytearray:
        """Give the 32 bytes of the custodian secret; the caller wipes them.

        Whether they are the right ones only the store's check value tells.

        Raises:
            RefusedError: `custodian-kind-wrong`: the store is opened by the other kind.
        """
        secret = bytearray(SECRET_BYTES)
        if isinstance(parameters, PassphraseParameters) and self.passphrase is not None:
            cost = 1 << parameters.log2_n
            Scrypt(parameters.salt, SECRET_BYTES, cost, _SCRYPT_R, _SCRYPT_P).derive_into(self.passphrase, secret)
        elif isinstance(parameters, ShareParameters) and self.passphrase is None:
            HKDF(SHA256(), SECRET_BYTES, None, _SHARES_INFO).derive_into(combine_shares(self.shares), secret)
        else:
            raise RefusedError("custodian-kind-wrong")
        return secret
