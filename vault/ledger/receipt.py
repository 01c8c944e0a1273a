"""Receipts: the file that proves, offline, that an entry is in a ledger. Leaves out what the entry says.

Source: C2SP tlog-proof; the extra data, optional there, is here always present and is the entry itself:

    c2sp.org/tlog-proof@v1
    extra ZW50cnktNjk=
    index 69
    zzNGISOP9Fz9Xr0g7XgMJApxU3Cua6cK3v06BOCK6e0=
    dmLq2UEv6gEjEu1nfQ4QTGtzp7kB8P9kwXmMfWtHgVk=
    bTDv+hvnqMLeNAenJWMcWr/O2rO/BUw42t/y+pkVpoY=

    vault.example.lg.jp/audit
    70
    …                            (the rest of the signed checkpoint, as it was issued)
"""

from dataclasses import dataclass
from typing import Self

from vault.errors import IntegrityError
from vault.ledger.checkpoint import Checkpoint, open_checkpoint
from vault.ledger.entry_bundle import MAX_ENTRY_BYTES
from vault.ledger.merkle import HASH_BYTES, MAX_TREE_SIZE, leaf_hash
from vault.ledger.note import VerifierKey
from vault.ledger.proofs import verify_inclusion
from vault.ledger.strict_text import decode_base64, encode_base64, parse_decimal

HEADER = "c2sp.org/tlog-proof@v1"
_MAX_PROOF_HASHES = 63  # the height of the largest tree


@dataclass(frozen=True, slots=True)
class Receipt:
    """An entry, its place in the ledger, and the proof of both; nothing is believed before `verify`.

    Raises IntegrityError `receipt-malformed` when a part has an impossible length or value.
    """

    entry: bytes  # 1 to 65,535 bytes, exactly as they were hashed into the leaf
    index: int  # zero-based
    proof: tuple[bytes, ...]  # sibling hashes, the leaf's own first, 32 bytes each
    checkpoint: str  # signed note, verbatim, with any cosignatures

    def __post_init__(self) -> None:
        """Refuse parts that no receipt has."""
        possible = 1 <= len(self.entry) <= MAX_ENTRY_BYTES and 0 <= self.index < MAX_TREE_SIZE
        if not possible or len(self.proof) > _MAX_PROOF_HASHES or any(len(part) != HASH_BYTES for part in self.proof):
            raise IntegrityError("receipt-malformed")

    def encode(self) -> str:
        """Write the receipt, to be kept in UTF-8 as a `.tlog-proof` file."""
        proof = "".join(f"{encode_base64(sibling)}\n" for sibling in self.proof)
        return f"{HEADER}\nextra {encode_base64(self.entry)}\nindex {self.index}\n{proof}\n{self.checkpoint}"

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read what `encode` wrote: both undo each other, character for character.

        Raises:
            IntegrityError: `receipt-malformed`. The checkpoint is read in `verify` only.
        """
        try:
            head, checkpoint = text.split("\n\n", 1)
            extra, index, *proof = _strip_start(head, f"{HEADER}\n").split("\n")
            return cls(
                entry=decode_base64(_strip_start(extra, "extra ")),
                index=parse_decimal(_strip_start(index, "index ")),
                proof=tuple(decode_base64(line) for line in proof),
                checkpoint=checkpoint,
            )
        except ValueError as error:
            raise IntegrityError("receipt-malformed") from error

    def verify(self, key: VerifierKey) -> Checkpoint:
        """Check that the ledger with this key holds the entry, and give the checkpoint that says so.

        Cosignatures are not looked at: they say that others saw the same checkpoint, not that the entry is in it.

        Raises:
            IntegrityError: `receipt-checkpoint-invalid`, the checkpoint is not one signed by this ledger;
                `receipt-not-included`, the entry, the index or the proof is not what that checkpoint covers.
        """
        try:
            checkpoint = open_checkpoint(self.checkpoint, key)
        except IntegrityError as error:
            raise IntegrityError("receipt-checkpoint-invalid", key_name=key.name) from error
        try:
            verify_inclusion(
                leaf=leaf_hash(self.entry),
                index=self.index,
                tree_size=checkpoint.size,
                proof=self.proof,
                root=checkpoint.root,
            )
        except IntegrityError as error:
            raise IntegrityError("receipt-not-included", index=self.index, tree_size=checkpoint.size) from error
        return checkpoint


def _strip_start(line: str, start: str) -> str:
    if not line.startswith(start):
        raise ValueError("not-a-receipt")
    return line.removeprefix(start)
