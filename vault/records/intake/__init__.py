"""Intake: what a deposit's bytes must be before they are sealed for good; no storage and no HTTP here."""
