"""What the vault and a PDF worker say to each other over a Unix socket of type SEQPACKET; values only.

1. Once at its start the worker sends READY.
2. A request is one message and names one document or several, each as `slot` (4 bytes, big endian) and `length` in
   bytes (8). Slots lie one after another in the arena, shared memory that the worker got at its start. With slot PASSED
   the document is a memory file of its own, whose descriptor comes with the request; it is the only one of its request.
3. For each document, in order, comes an answer of its own: OK or a refusal's code, in ASCII. The worker is not trusted:
   any other answer counts as its failure over that document.
"""

import struct

SLOT_BYTES = 1 << 20
PASSED = 0xFFFFFFFF  # instead of a slot
READY = b"ready"
OK = b"ok"
REFUSALS = frozenset({b"pdf-malformed", b"pdf-encrypted", b"pdf-no-pages", b"pdf-active-content"})
MAX_ANSWER_BYTES = 64
MAX_TOGETHER = 32  # documents of one request

DOCUMENT = struct.Struct(">IQ")
