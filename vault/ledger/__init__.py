"""The ledger: an append-only Merkle log of events, its signed checkpoints, and the receipts that prove an entry."""
