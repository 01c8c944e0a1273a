"""Index tokens: how a value that may point to a citizen is found again without being stored.

Pure. A token is an HMAC under the index key of one bucket: it says that two rows of the bucket share a value, never
which, and it dies with the bucket's disposal key.
"""

import hmac
import unicodedata

TOKEN_BYTES = 16
SUBJECT_KEY = "subject_key"


def index_token(index_key: bytes, field: str, value: str) -> bytes:
    """Give the token (16 bytes) of `value` in `field` under a bucket's index key (32 bytes).

    Full and half width, upper and lower case, and surrounding spaces do not matter.
    """
    message = f"kura/index-token/v1\n{field}\n{normalized(value)}".encode()
    return hmac.digest(index_key, message, "sha256")[:TOKEN_BYTES]


def normalized(value: str) -> str:
    """Give the form of a value under which it is compared."""
    return unicodedata.normalize("NFKC", value).strip().casefold()
