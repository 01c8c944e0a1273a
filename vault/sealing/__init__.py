"""Sealing of objects: the framing of sealed streams and what binds an object to its record."""
