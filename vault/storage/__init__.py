"""Rows and objects: where the vault keeps what it must keep. Holds no rules about records."""
