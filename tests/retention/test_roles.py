"""The names of depositors and readers."""

from retention.roles import DEPOSITORS, READERS, Role, StationKind


def test_stations_deposit_and_never_read() -> None:
    assert {"counter", "scanner", "recorder", "exchange"} == set(StationKind) <= DEPOSITORS
    assert not READERS & set(StationKind)


def test_the_vault_administrator_has_no_access_to_content() -> None:
    assert Role.VAULT_ADMIN not in READERS


def test_everybody_else_can_be_named_in_both_lists() -> None:
    assert set(Role) - {Role.VAULT_ADMIN} == READERS
    assert set(Role) | set(StationKind) == DEPOSITORS
