"""Who may do what: every role with every act and every class, written out."""

from importlib.resources import files

import pytest
from ledger_vectors import refused

from retention.policy_reader import read_policy
from retention.roles import Role, StationKind
from vault.errors import RefusedError
from vault.people.actor import VAULT, Actor
from vault.people.authority import MAY, Act, require

POLICY = read_policy(files("policies").joinpath("nishinomiya.toml").read_text("utf-8"), "policy")
HERE = POLICY.contract

DEPOSIT, READ, SEARCH = Act.DEPOSIT, Act.READ, Act.SEARCH
EXPECTED: dict[Role, set[Act]] = {
    Role.SCAN_OPERATOR: {DEPOSIT, READ, SEARCH},
    Role.OPERATIONS_MANAGER: {DEPOSIT, READ, SEARCH, Act.GRANT_ROLE, Act.ENROL_STATION},
    Role.DEPUTY_OPERATIONS_MANAGER: {DEPOSIT, READ, SEARCH},
    Role.SITE_LEADER: {DEPOSIT, READ, SEARCH},
    Role.WORKER: {DEPOSIT},
    Role.CALL_AGENT: {DEPOSIT},
    Role.SECURITY_OFFICER: {READ, SEARCH, Act.CHECK_FIXITY},
    Role.PRIVACY_MANAGER: {READ, SEARCH, Act.CHECK_FIXITY},
    Role.CITY_AUDITOR: {READ, SEARCH},
    Role.VAULT_ADMIN: {Act.CHECK_FIXITY, Act.GRANT_ROLE, Act.ENROL_STATION, Act.BACK_UP, Act.RECOVER},
}
_DOCUMENTS = ("application_form", "issuance_receipt", "case_document_set", "identity_document_copy")
_JOURNALS = ("call_detail_record", "entry_log", "consignment_list", "counter_tally", "recorder_journal")
_OFFICIALS = frozenset({Role.OPERATIONS_MANAGER, Role.SECURITY_OFFICER, Role.CITY_AUDITOR})
MAY_READ = {
    **dict.fromkeys(_DOCUMENTS, _OFFICIALS | {Role.SCAN_OPERATOR, Role.SITE_LEADER}),
    **dict.fromkeys(("call_recording", "surveillance_video", "roster", "confidentiality_pledge"), _OFFICIALS),
    **dict.fromkeys(_JOURNALS, _OFFICIALS),
    "counter_tally": _OFFICIALS | {Role.SITE_LEADER},
    "audit_trail": frozenset({Role.SECURITY_OFFICER, Role.CITY_AUDITOR}),
}
MAY_DEPOSIT: dict[str, frozenset[Role]] = {
    **dict.fromkeys(_DOCUMENTS, frozenset({Role.SCAN_OPERATOR})),
    **dict.fromkeys(("call_recording", "surveillance_video", *_JOURNALS), frozenset({Role.OPERATIONS_MANAGER})),
    **dict.fromkeys(("roster", "confidentiality_pledge"), frozenset({Role.OPERATIONS_MANAGER, Role.SITE_LEADER})),
    "audit_trail": frozenset(),  # its depositor, the administrator, may deposit nothing: the vault alone writes it
}
STATIONS_MAY_DEPOSIT = {
    **dict.fromkeys(_DOCUMENTS, frozenset({StationKind.COUNTER, StationKind.SCANNER})),
    "call_recording": frozenset({StationKind.EXCHANGE}),
    "surveillance_video": frozenset({StationKind.RECORDER}),
    "call_detail_record": frozenset({StationKind.EXCHANGE}),
    "entry_log": frozenset({StationKind.RECORDER}),
    "consignment_list": frozenset({StationKind.COUNTER}),
    "counter_tally": frozenset({StationKind.COUNTER, StationKind.SCANNER}),
    "recorder_journal": frozenset({StationKind.RECORDER}),
}


def actor(*roles: str, contract: str = HERE) -> Actor:
    return Actor("person:1", tuple((contract, role) for role in roles))


def is_allowed(who: Actor, act: Act, class_id: str | None = None) -> bool:
    try:
        require(who, act, HERE, POLICY.classes[class_id] if class_id else None)
    except RefusedError:
        return False
    return True


def test_every_class_of_the_policy_is_in_the_tables() -> None:
    assert set(MAY_READ) == set(MAY_DEPOSIT) == set(POLICY.classes)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("act", Act)
def test_each_role_may_do_exactly_what_is_written(role: Role, act: Act) -> None:
    assert is_allowed(actor(role), act) == (act in EXPECTED.get(role, set()))


@pytest.mark.parametrize("class_id", POLICY.classes)
@pytest.mark.parametrize("role", Role)
def test_each_role_may_do_exactly_what_is_written_for_each_class(role: Role, class_id: str) -> None:
    expected = {act for act in (READ, SEARCH) if role in MAY_READ[class_id]}
    if role in MAY_DEPOSIT[class_id]:
        expected.add(DEPOSIT)
    assert {act for act in (DEPOSIT, READ, SEARCH) if is_allowed(actor(role), act, class_id)} == expected


@pytest.mark.parametrize("act", Act)
@pytest.mark.parametrize("kind", StationKind)
def test_a_station_deposits_what_its_kind_may_and_does_nothing_else(kind: StationKind, act: Act) -> None:
    station = Actor("station:one", ((HERE, kind.value),))
    for class_id in POLICY.classes:
        expected = act is DEPOSIT and kind in STATIONS_MAY_DEPOSIT.get(class_id, frozenset())
        assert is_allowed(station, act, class_id) == expected
    assert is_allowed(station, act) == (act is DEPOSIT)


def test_an_administrator_has_no_access_to_content() -> None:
    assert MAY[Role.VAULT_ADMIN].isdisjoint({DEPOSIT, READ, SEARCH})


@pytest.mark.parametrize("act", Act)
def test_a_role_in_another_contract_counts_for_nothing(act: Act) -> None:
    assert not is_allowed(actor(*Role, contract="elsewhere"), act)
    assert not is_allowed(actor(), act)


def test_two_roles_add_up_but_neither_lends_the_other_its_classes() -> None:
    both = actor(Role.SCAN_OPERATOR, Role.VAULT_ADMIN)
    assert is_allowed(both, READ, "application_form")
    assert is_allowed(both, Act.RECOVER)
    assert not is_allowed(both, READ, "call_recording")
    # A worker may deposit, and scan operators' forms may be deposited: a worker may not deposit them.
    assert not is_allowed(actor(Role.WORKER, Role.CITY_AUDITOR), DEPOSIT, "application_form")


@pytest.mark.parametrize("act", Act)
def test_the_vault_itself_acts_by_rule(act: Act) -> None:
    assert is_allowed(VAULT, act)


def test_a_person_called_like_the_vault_is_not_the_vault() -> None:
    assert not is_allowed(Actor("vault", (("elsewhere", "worker"),)), READ)
    assert not is_allowed(Actor("vault", user_id=0), READ)


def test_the_table_cannot_be_changed_at_run_time() -> None:
    with pytest.raises(TypeError):
        MAY[Role.WORKER] = frozenset(Act)  # type: ignore[index]  # that is the point


def test_a_refusal_names_actor_act_and_class() -> None:
    with refused(RefusedError, "not-allowed"):
        require(actor("worker"), READ, HERE, POLICY.classes["roster"])
    with pytest.raises(RefusedError, match="person:1"):
        require(actor("worker"), READ, HERE)
