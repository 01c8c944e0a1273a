"""The taking part in an HSM: key pairs that sign while the vault is sealed. No private half ever leaves it.

A pair is two objects of one id on the taking token, labelled with the vault and the use, so that a token serves
several vaults and a pair that another process made is found. It counts once both halves are there: a crash between
them leaves one that nobody was told of.
"""

import hashlib
import os
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from pkcs11.constants import Attribute, MechanismFlag, ObjectClass
from pkcs11.mechanisms import KeyType, Mechanism
from pkcs11.types import Session

from vault.errors import NotFoundError
from vault.keys.key_parts import ID_BYTES
from vault.keys.pkcs11_session import Handle, TokenSession, find


@dataclass(frozen=True, slots=True)
class Use:
    """What a pair is for.

    Attributes:
        name: in the label of its objects.
        key_type: of the pair.
        curve: its EC_PARAMS, an object identifier in DER.
        making: mechanism that makes it.
        signing: mechanism that signs.
        point_bytes: length of its public half.
        unknown: code of the error where there is no such pair.
    """

    name: str
    key_type: KeyType
    curve: bytes
    making: Mechanism
    signing: Mechanism
    point_bytes: int
    unknown: str


LEDGER = Use(
    "ledger",
    KeyType.EC_EDWARDS,
    bytes.fromhex("06032b6570"),  # Ed25519
    Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
    Mechanism.EDDSA,
    32,
    "signing-key-unknown",
)
AUTHORITY = Use(
    "authority",
    KeyType.EC,
    bytes.fromhex("06082a8648ce3d030107"),  # P-256
    Mechanism.EC_KEY_PAIR_GEN,
    Mechanism.ECDSA,
    65,
    "certificate-key-unknown",
)


class SigningKeys:
    """The pairs of one vault."""

    def __init__(self, token: TokenSession, owner: str) -> None:
        """Take the taking token; `owner` is what the vault's objects are labelled with."""
        self._token = token
        self._owner = owner
        self._public: dict[str, bytes] = {}  # never changes, and so is read once

    def create(self, use: Use) -> str:
        """Make a pair durably and give its id."""
        key_id = os.urandom(ID_BYTES)

        def make(session: Session) -> None:
            curve = session.create_domain_parameters(use.key_type, {Attribute.EC_PARAMS: use.curve}, local=True)
            curve.generate_keypair(
                id=key_id,
                label=self._label(use),
                store=True,
                capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
                mechanism=use.making,
                private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
            )

        self._token.run(make)
        return key_id.hex()

    def ids(self, use: Use) -> frozenset[str]:
        """Give the ids of all pairs for a use."""

        def look(session: Session) -> frozenset[str]:
            halves = [
                {bytes(one[Attribute.ID]).hex() for one in find(session, self._template(use, kind))}
                for kind in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY)
            ]
            return frozenset(halves[0] & halves[1])

        return self._token.run(look)

    def sign(self, use: Use, key_id: str, message: bytes) -> bytes:
        """Sign: Ed25519 (64 bytes), or ECDSA with SHA-256 (DER).

        Raises:
            NotFoundError: there is no such pair.
        """
        data = message if use is LEDGER else hashlib.sha256(message).digest()
        signature: bytes = self._token.run(
            lambda session: self._private(session, use, key_id).sign(data, mechanism=use.signing)
        )
        if use is LEDGER:
            return signature
        half = len(signature) // 2
        return encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))

    def public(self, use: Use, key_id: str) -> bytes:
        """Give the public half: 32 bytes for Ed25519, 65 (an uncompressed point) for P-256.

        Raises:
            NotFoundError: there is no such pair.
        """
        if key_id not in self._public:
            self._public[key_id] = self._token.run(lambda session: self._point(session, use, key_id))
        return self._public[key_id]

    def _private(self, session: Session, use: Use, key_id: str) -> Handle:
        handle = self._token.handles.get(key_id)
        if handle is None:
            found = find(session, self._template(use, ObjectClass.PRIVATE_KEY, key_id))
            if not found:
                raise NotFoundError(use.unknown, key_id=key_id)
            handle = self._token.handles[key_id] = found[0]
        return handle

    def _point(self, session: Session, use: Use, key_id: str) -> bytes:
        found = find(session, self._template(use, ObjectClass.PUBLIC_KEY, key_id))
        if not found:
            raise NotFoundError(use.unknown, key_id=key_id)
        point = bytes(found[0][Attribute.EC_POINT])
        return point[-use.point_bytes :]  # by the standard in an OCTET STRING; some devices give it bare

    def _template(self, use: Use, kind: ObjectClass, key_id: str | None = None) -> dict[Attribute, object]:
        template: dict[Attribute, object] = {Attribute.CLASS: kind, Attribute.LABEL: self._label(use)}
        return template if key_id is None else template | {Attribute.ID: bytes.fromhex(key_id)}

    def _label(self, use: Use) -> str:
        return f"{self._owner} {use.name}"
