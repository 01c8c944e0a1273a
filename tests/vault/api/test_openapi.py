"""The OpenAPI document says what the routes do: held against them, against the refusals, and asked at random."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
import vaults
from bad_requests import BAD, Bad
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from narrow_api import Api, deposit_header, listening, routes_of
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from vault.api.openapi import document
from vault.records.vault import Vault

DOCUMENT = document()
OPERATIONS = {f"{m} {path}": (path, m) for path, methods in DOCUMENT["paths"].items() for m in methods}
SAID = [one for one in OPERATIONS if "Kura-Deposit" in str(DOCUMENT["paths"][OPERATIONS[one][0]][OPERATIONS[one][1]])]
RANDOM = {f"{name}, all of it": (*OPERATIONS[name], "all of it") for name in OPERATIONS} | {
    f"{name}, right header": (*OPERATIONS[name], "right header") for name in SAID
}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 40


# Schemathesis draws no slash for a path; tiles have some.
TILES = st.fixed_dictionaries(
    {
        "level": st.from_regex("[0-9]{1,2}", fullmatch=True),
        "index": st.from_regex("(x00[0-9]/){0,2}[0-9]{3}([.]p/[0-9]{1,3})?", fullmatch=True),
    }
)


@pytest.fixture(scope="module")
def served(shared: Vault, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with listening(shared, tmp_path_factory.mktemp("served"), patience_s=1, burst=1e6) as api:
        yield api


def test_it_lists_the_routes_and_their_methods_and_no_more(shared: Vault) -> None:
    routes = {
        (route.path.replace(":path}", "}"), method.lower())
        for route in routes_of(shared)
        for method in route.methods or ()
        if method != "HEAD"  # GET without its body
    }
    assert routes == set(OPERATIONS.values())


def test_it_is_what_the_route_gives(served: Api) -> None:
    answer = served.station("reader").ask("GET", "/v1/openapi.json")
    assert answer.json == DOCUMENT


@pytest.mark.parametrize(
    "bad", [bad for bad in BAD.values() if bad.route], ids=[n for n, bad in BAD.items() if bad.route]
)
def test_every_refusal_is_in_it(bad: Bad) -> None:
    responses: dict[str, Any] = DOCUMENT["paths"][bad.route][bad.method]["responses"]
    assert "application/problem+json" in responses[str(bad.status)]["content"]


@schemathesis.serializer("application/vnd.kura.spooled", "application/vnd.kura.batch", "application/pkcs10")
def as_bytes(_: schemathesis.SerializationContext, value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@pytest.fixture(scope="module")
def session(served: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[requests.Session]:
    folder: Path = tmp_path_factory.mktemp("session")
    certificate, authority = served.certificate_files(folder)
    with requests.Session() as session:
        session.cert, session.verify = str(certificate), str(authority)
        yield session


@pytest.mark.parametrize(("path", "method", "how"), RANDOM.values(), ids=RANDOM)
def test_what_is_asked_at_random_gets_an_answer_that_is_in_it(
    served: Api, session: requests.Session, path: str, method: str, how: str
) -> None:
    operation = schemathesis.openapi.from_dict(DOCUMENT)[path][method]

    @settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def ask(data: st.DataObject) -> None:
        case = (
            operation.Case(path_parameters=data.draw(TILES)) if "tile" in path else data.draw(operation.as_strategy())
        )
        if how == "right header":
            said = {"class": None, "id": vaults.new_id()} if "kind" in path else {}
            case.headers["Kura-Deposit"] = deposit_header(**said, subject_key="NIS-1")
        response = case.call(base_url=f"https://localhost:{served.port}", session=session, verify=session.verify)
        case.validate_response(response, checks=CHECKS)

    ask()
