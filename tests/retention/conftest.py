"""The small good policy from which the tests make their broken ones."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def good_policy() -> str:
    return Path(__file__).with_name("good_policy.toml").read_text("utf-8")
