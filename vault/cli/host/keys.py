"""Host verbs of the custodians: opening the vault and closing it."""

from typing import Any

from vault.cli.host.call import Call
from vault.keys.custodian import CustodianSecret

_SHARE = "kura-share-"


def unseal(call: Call) -> dict[str, Any]:
    """Open the vault with the secret that custodians brought."""
    call.vault.unseal(read_secret(call.fields.text("secret", most=1 << 16)), call.somebody())
    return {"sealed": call.vault.is_sealed}


def seal(call: Call) -> dict[str, Any]:
    """Close the vault; it goes on taking deposits."""
    call.vault.seal(call.somebody())
    return {"sealed": call.vault.is_sealed}


def read_secret(text: str) -> CustodianSecret:
    """Read what a secret's file holds: shares, one per line, or else a passphrase in its only line.

    Raises:
        RefusedError: it is empty, or a share is wrong.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and lines[0].strip().lower().startswith(_SHARE):
        return CustodianSecret.from_shares(lines)
    return CustodianSecret.from_passphrase(text.rstrip("\r\n"))
