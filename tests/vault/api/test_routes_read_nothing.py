"""No route, under no certificate and by no method, gives out anything of what was deposited."""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product

import pytest
import stored
import strangers
import vaults
from narrow_api import Answer, Api, PlainStation, listening, routes_of
from wire import PDF

from vault.people.persons import NewPerson
from vault.records.vault import Vault

KEY, FILE_NAME, RECORD = "NIS-RECOGNISABLE-77", "recognisable-form.pdf", vaults.new_id()
SECRETS = (PDF[200:260], PDF[-90:-30], KEY.encode(), FILE_NAME.encode())
FORMS: Sequence[Callable[[bytes], bytes]] = (
    lambda secret: secret,
    lambda secret: secret.hex().encode(),
    lambda secret: base64.b64encode(secret)[4:-8],
    lambda secret: base64.b64encode(secret[1:])[4:-8],
    lambda secret: base64.b64encode(secret[2:])[4:-8],
    lambda secret: base64.urlsafe_b64encode(secret)[4:-8],
)
PATHS: Mapping[str, Sequence[str]] = {
    "/v1/deposits:batch": ["/v1/deposits:batch"],
    "/v1/deposits/{id}": [f"/v1/deposits/{RECORD}", f"/v1/deposits/{RECORD}?as=9001"],
    "/v1/deposits/{id}/receipt": [f"/v1/deposits/{RECORD}/receipt"],
    "/v1/journals/{kind}": ["/v1/journals/counter_tally", f"/v1/journals/{RECORD}"],
    "/v1/checkpoint": ["/v1/checkpoint"],
    "/v1/tile/{level}/{index:path}": ["/v1/tile/0/000", "/v1/tile/0/000.p/10", "/v1/tile/entries/000.p/10"],
    "/v1/buckets": ["/v1/buckets"],
    "/v1/certificate": ["/v1/certificate"],
    "/v1/health": ["/v1/health"],
    "/v1/openapi.json": ["/v1/openapi.json"],
}
"""What to ask of each route; one that is not here fails the test."""
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
MAY_SAY_SOMETHING = {"/v1/checkpoint", "/v1/buckets", "/v1/health", "/v1/openapi.json", "/v1/tile/{level}/{index:path}"}
KINDS = ("counter", "scanner", "recorder", "exchange")


@pytest.fixture(scope="module")
def served(shared: Vault, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A vault with one record, and a second contract."""
    policy = vaults.policy_text().replace('"nishinomiya"', '"elsewhere"')
    shared.open_contract(policy, [NewPerson.parse("1:名前:vault_admin")])
    with listening(shared, tmp_path_factory.mktemp("served")) as api:
        answer = api.station("depositor").deposit(PDF, RECORD, subject_key=KEY, file_name=FILE_NAME)
        assert answer.status == 201
        require_nothing_of_the_record(answer)
        yield api


def require_nothing_of_the_record(answer: Answer) -> None:
    said = answer.body + repr(sorted(answer.headers.items())).encode()
    for secret, form in product(SECRETS, FORMS):
        assert form(secret) not in said


def test_the_search_finds_what_it_looks_for() -> None:
    for secret, form in product(SECRETS, FORMS):
        assert len(form(secret)) >= 12
        with pytest.raises(AssertionError):
            require_nothing_of_the_record(Answer(200, {}, b"xyz" + form(secret) + b"xyz"))
    assert PDF[200:260] != PDF[-90:-30]


def test_every_route_is_asked(shared: Vault) -> None:
    assert {route.path for route in routes_of(shared)} == set(PATHS)


def of_another_contract(api: Api) -> PlainStation:
    return api.station("other-contract", contract="elsewhere")


def of_kind(kind: str) -> Callable[[Api], PlainStation]:
    return lambda api: api.station(f"{kind}-other", kind)


INSIDE: Mapping[str, Callable[[Api], PlainStation]] = {kind: of_kind(kind) for kind in KINDS} | {
    "another contract": of_another_contract,
    "unknown": strangers.unknown,
    "revoked": strangers.revoked,
}


@pytest.mark.parametrize("make", strangers.AT_THE_DOOR.values(), ids=strangers.AT_THE_DOOR)
def test_who_is_turned_away_at_the_door_gets_nothing(served: Api, make: Callable[[Api], PlainStation]) -> None:
    stranger = make(served)
    for path in (path for paths in PATHS.values() for path in paths):
        strangers.require_turned_away(stranger, path=path)
        stranger.close()


@pytest.mark.parametrize("make", INSIDE.values(), ids=INSIDE)
def test_no_route_gives_out_what_was_deposited(served: Api, make: Callable[[Api], PlainStation]) -> None:
    station = make(served)
    before = stored.everything(served.vault)
    for (route, paths), method in product(PATHS.items(), METHODS):
        for path in paths:
            answer = station.ask(method, path)
            require_nothing_of_the_record(answer)
            says_something = answer.status < 400
            assert not says_something or (method in ("GET", "HEAD") and route in MAY_SAY_SOMETHING), (method, path)
            if route == "/v1/deposits/{id}/receipt":
                assert answer.status in (403, 404, 405)
    station.close()
    assert stored.everything(served.vault) == before


@pytest.mark.parametrize("make", [INSIDE["unknown"], INSIDE["revoked"]], ids=["unknown", "revoked"])
def test_who_has_no_valid_certificate_hears_nothing_but_that(
    served: Api, make: Callable[[Api], PlainStation], request: pytest.FixtureRequest
) -> None:
    stranger = make(served)
    for path, method in product((path for paths in PATHS.values() for path in paths), METHODS):
        answer = stranger.ask(method, path)
        assert answer.status == 403
        assert method == "HEAD" or answer.code == f"certificate-{request.node.callspec.id}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_receipt_is_given_to_the_station_that_deposited_and_to_no_other(served: Api, kind: str) -> None:
    other = served.station(f"{kind}-asking", kind)
    answer = other.ask("GET", f"/v1/deposits/{RECORD}/receipt")
    assert (answer.status, answer.code) == (404, "record-unknown")
    again = other.deposit(PDF, RECORD, subject_key=KEY, file_name=FILE_NAME)
    assert (again.status, again.code) in ((409, "record-id-taken"), (403, "not-allowed"))
    [depositor] = [station for station in served.stations if station.name == "depositor"]
    own = depositor.ask("GET", f"/v1/deposits/{RECORD}/receipt")
    assert own.status == 200
    require_nothing_of_the_record(own)


def test_a_checkpoint_is_that_of_the_stations_own_contract(served: Api) -> None:
    here = served.station("checking-1").ask("GET", "/v1/checkpoint")
    there = served.station("checking-2", contract="elsewhere").ask("GET", "/v1/checkpoint")
    assert here.body.startswith(b"kura.test/vault/nishinomiya\n")
    assert there.body.startswith(b"kura.test/vault/elsewhere\n")
