"""Checkpoints: the signed head of a log. Leaves out who signs them and where they are kept.

Source: C2SP tlog-checkpoint. A checkpoint's text is three lines (origin, tree size, root hash in base64). Extension
lines, which the specification advises against, are refused: its cosignature formats disagree on whether they are
signed.
"""

from dataclasses import dataclass
from typing import Self

from vault.errors import IntegrityError
from vault.ledger.merkle import EMPTY_ROOT, HASH_BYTES, MAX_TREE_SIZE
from vault.ledger.note import SignFunction, VerifierKey, is_key_name, open_note, sign_note
from vault.ledger.strict_text import decode_base64, encode_base64, parse_decimal


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: under `origin`, the first `size` entries have the root hash `root` (32 bytes).

    The origin is the name of the key that signs. Raises IntegrityError `checkpoint-malformed` for what no log has.
    """

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        """Refuse an origin that cannot name a key, a size out of range, and a root of the wrong length."""
        possible = is_key_name(self.origin) and 0 <= self.size <= MAX_TREE_SIZE and len(self.root) == HASH_BYTES
        if not possible or (self.size == 0) != (self.root == EMPTY_ROOT):
            raise IntegrityError("checkpoint-malformed")

    def body(self) -> str:
        """Write the text that is signed: three lines, each with its newline."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `body` wrote; whoever signed it was checked before.

        Raises:
            IntegrityError: `checkpoint-malformed`, also for extension lines and for numbers with leading zeros.
        """
        try:
            origin, size, root, rest = text.split("\n")
            parsed = cls(origin, parse_decimal(size), decode_base64(root))
        except ValueError as error:
            raise IntegrityError("checkpoint-malformed") from error
        if rest:
            raise IntegrityError("checkpoint-malformed")
        return parsed


def sign_checkpoint(checkpoint: Checkpoint, key: VerifierKey, sign: SignFunction) -> str:
    """Sign a checkpoint as a note.

    A log must never sign two checkpoints that contradict each other; that is for the caller to ensure.

    Raises:
        IntegrityError: `checkpoint-origin-differs`, the key belongs to another log.
    """
    _require_origin(checkpoint, key)
    return sign_note(checkpoint.body(), key, sign)


def open_checkpoint(note: str | bytes, key: VerifierKey) -> Checkpoint:
    """Verify a signed checkpoint of the log whose key this is; other signatures in it, as of witnesses, are ignored.

    Raises:
        IntegrityError: `note-malformed`, `note-unsigned`, `note-signature-invalid`, `checkpoint-malformed`, or
            `checkpoint-origin-differs`, the key signed for another origin than its own name.
    """
    checkpoint = Checkpoint.parse(open_note(note, [key]))
    _require_origin(checkpoint, key)
    return checkpoint


def _require_origin(checkpoint: Checkpoint, key: VerifierKey) -> None:
    if checkpoint.origin != key.name:
        raise IntegrityError("checkpoint-origin-differs", origin=checkpoint.origin, key_name=key.name)
