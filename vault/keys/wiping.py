"""Overwriting secrets in memory; a best effort, as Python and the libraries may hold copies of their own."""


def wipe(*secrets: bytearray) -> None:
    """Overwrite each buffer with zeros."""
    for secret in secrets:
        secret[:] = bytes(len(secret))
