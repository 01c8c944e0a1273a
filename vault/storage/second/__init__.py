"""The second disk of the embedded default: the rows file, its base, and what is told when a disk is away."""
