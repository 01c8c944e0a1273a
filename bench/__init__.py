"""Measurements of the vault, each beside a yardstick in the same run; no product code imports this package."""
