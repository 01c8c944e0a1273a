"""The routes of the narrow API. Machines write here, and none of these gives out anything that was deposited.

A handler translates: a request into an order, what comes of it into an answer. What is allowed is decided elsewhere.
"""

import json
import traceback
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from retention.periods import trigger_date
from retention.policy import RecordClass
from vault.api import openapi
from vault.api.batch import MEDIA_TYPE as BATCH
from vault.api.body import Body, Pace
from vault.api.confrontation import Confrontation
from vault.api.content_digest import parse_content_digest
from vault.api.deposit_header import parse_header
from vault.api.gate import STATION
from vault.api.intake import Intake, Upload
from vault.api.problems import problem_of, problem_response
from vault.errors import IntegrityError, KuraError, NotFoundError, RefusedError, UnavailableError
from vault.ledger.batch import told
from vault.ledger.event import format_instant
from vault.ledger.log import Log
from vault.ledger.tiles import Tile, parse_tile_path
from vault.people.certificates import pem
from vault.people.stations import Station
from vault.records.announcement import announced
from vault.records.buckets import BucketAhead
from vault.records.deposited import Deposited
from vault.records.engines import missing_engines
from vault.records.journals import JournalKind
from vault.records.numbering import newest_number
from vault.records.request import check_record_id
from vault.records.vault import Vault
from vault.sealing.spooled import MEDIA_TYPE as SPOOLED
from vault.service_log import service_log
from vault.storage.losses import is_passing

_MAX_CSR_BYTES = 16 << 10


class Routes:
    """The handlers, for one vault."""

    def __init__(self, vault: Vault, intake: Intake, pace: Pace) -> None:
        """Serve this vault."""
        self._vault, self._intake, self._pace = vault, intake, pace
        self._confrontation = Confrontation(vault)

    def application(self) -> Starlette:
        """Make the application."""
        application = Starlette(
            routes=[
                Route("/v1/deposits:batch", self.post_batch, methods=["POST"]),
                Route("/v1/deposits/{id}", self.put_deposit, methods=["PUT"]),
                Route("/v1/deposits/{id}/receipt", self.get_receipt, methods=["GET"]),
                Route("/v1/journals/{kind}", self.post_journal, methods=["POST"]),
                Route("/v1/checkpoint", self.get_checkpoint, methods=["GET"]),
                Route("/v1/tile/{level}/{index:path}", self.get_tile, methods=["GET"]),
                Route("/v1/buckets", self.get_buckets, methods=["GET"]),
                Route("/v1/certificate", self.post_certificate, methods=["POST"]),
                Route("/v1/health", self.get_health, methods=["GET"]),
                Route("/v1/openapi.json", self.get_openapi, methods=["GET"]),
            ],
            exception_handlers={KuraError: _problem, HTTPException: _no_route, Exception: _defect},
        )
        application.router.redirect_slashes = False  # one path for each thing
        return application

    async def put_deposit(self, request: Request) -> Response:
        """Take one record."""
        station, record_id = _station(request), request.path_params["id"]
        check_record_id(record_id)
        self._require_taking(request, station)
        upload = self._upload(request)
        if _media_type(request) == SPOOLED:
            return _taken(await self._intake.take_spooled(station, record_id, upload))
        said = announced(record_id, parse_header(_field(request, "kura-deposit")))
        return _taken(await self._intake.take(station, said, upload))

    async def post_batch(self, request: Request) -> Response:
        """Take many small documents."""
        station = _station(request)
        if _media_type(request) != BATCH:
            raise RefusedError("request-media-type-refused", media_type=BATCH)
        self._require_taking(request, station)
        outcomes = await self._intake.take_batch(station, self._upload(request))
        return _json({"results": [_result(document.record_id, outcome) for document, outcome in outcomes]})

    async def post_journal(self, request: Request) -> Response:
        """Take a machine's journal."""
        station, kind = _station(request), request.path_params["kind"]
        if kind not in set(JournalKind):
            raise NotFoundError("journal-kind-unknown")
        self._require_taking(request, station)
        members = parse_header(_field(request, "kura-deposit"))
        record_id = members.pop("id", None)
        if not isinstance(record_id, str):
            raise RefusedError("record-id-malformed")
        said = announced(record_id, members, kind)
        return _taken(await self._intake.take(station, said, self._upload(request)))

    async def get_receipt(self, request: Request) -> Response:
        """Give a receipt again, to the station that has it already."""
        station, record_id = _station(request), request.path_params["id"]
        check_record_id(record_id)
        receipt = await run_in_threadpool(self._vault.deposits.receipt, station.contract_id, record_id, station.actor())
        return PlainTextResponse(receipt.encode())

    async def get_checkpoint(self, request: Request) -> Response:
        """Give the newest signed checkpoint."""
        log = self._vault.ground.log_of(_station(request).contract_id)
        return PlainTextResponse(log.signed(log.checkpoint()))

    async def get_tile(self, request: Request) -> Response:
        """Give a hash tile."""
        log = self._vault.ground.log_of(_station(request).contract_id)
        try:
            tile = parse_tile_path("tile/{level}/{index}".format(**request.path_params))
        except RefusedError as error:
            raise NotFoundError("route-unknown") from error
        return Response(await run_in_threadpool(self._tile, log, tile), media_type="application/octet-stream")

    async def get_buckets(self, request: Request) -> Response:
        """Give the public halves that a station may seal to."""
        ahead = await run_in_threadpool(self._buckets_ahead, _station(request))
        return _json({"buckets": [_bucket(record_class, one) for record_class, one in ahead]})

    async def post_certificate(self, request: Request) -> Response:
        """Renew a station's certificate."""
        station = _station(request)
        self._require_taking(request, station)
        csr = await Body(request.receive, self._pace).whole(_MAX_CSR_BYTES)
        certificate = await run_in_threadpool(
            self._vault.enrolment.renew, station.actor(), station.contract_id, station.name, csr
        )
        return Response(pem(certificate), HTTPStatus.CREATED, media_type="application/x-pem-file")

    async def get_health(self, request: Request) -> Response:
        """Say how the vault is, and where this station's numbers are."""
        station, vault = _station(request), self._vault
        newest = vault.ground.ready.run(lambda connection: newest_number(connection, station.name))
        return _json(
            {
                "alive": True,
                "sealed": vault.is_sealed,
                "takes": vault.problem is None,
                "missing": list(await run_in_threadpool(missing_engines, vault.ground)),
                "time": format_instant(vault.ground.clock()),
                "station": station.name,
                "kind": station.kind.value,
                "contract": station.contract_id,
                "log_vkey": vault.ground.log_of(station.contract_id).key.encode(),
                "newest": newest,
            }
        )

    async def get_openapi(self, _: Request) -> Response:
        """Give the description of these routes."""
        return _json(openapi.document())

    def _tile(self, log: Log, tile: Tile) -> bytes:
        try:
            return log.published_tile(tile)
        except NotFoundError:
            self._vault.ground.follow()  # another process may have appended what it is asked for
            return log.published_tile(tile)

    def _buckets_ahead(self, station: Station) -> list[tuple[RecordClass, BucketAhead]]:
        vault = self._vault
        contract, today = vault.ground.contract(station.contract_id), trigger_date(vault.ground.clock())
        return [
            (record_class, one)
            for record_class in contract.policy.classes.values()
            if station.kind.value in record_class.deposit
            for one in vault.buckets.ahead(contract, record_class, today)
        ]

    def _require_taking(self, request: Request, station: Station) -> None:
        """Let pass where the ledger goes on, and goes on from what the station knows of it."""
        if self._vault.problem is None:
            self._confrontation.meet(station, _field(request, "kura-checkpoint"))
        if self._vault.problem is not None:
            raise UnavailableError("vault-halted", problem=self._vault.problem.code)

    def _upload(self, request: Request) -> Upload:
        length = _field(request, "content-length")
        digest = parse_content_digest(_field(request, "content-digest"))
        return Upload(Body(request.receive, self._pace), None if length is None else int(length), digest)


def _station(request: Request) -> Station:
    station: Station = request.scope[STATION]
    return station


def _field(request: Request, name: str) -> str | None:
    """Give a header field that comes once at most."""
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise RefusedError("header-repeated", name=name)
    return values[0] if values else None


def _media_type(request: Request) -> str:
    return (_field(request, "content-type") or "").partition(";")[0].strip().lower()


def _taken(deposited: Deposited) -> Response:
    status = HTTPStatus.CREATED if deposited.is_new else HTTPStatus.OK
    return _json(_values(deposited), status)


def _result(record_id: str | None, outcome: Deposited | KuraError) -> dict[str, Any]:
    if isinstance(outcome, KuraError):
        return {"record": record_id, "problem": problem_of(outcome)}
    return _values(outcome) | {"new": outcome.is_new}


def _values(deposited: Deposited) -> dict[str, Any]:
    return {
        "record": deposited.record_id,
        "receipt": deposited.receipt.encode(),
        "digest": None if deposited.digest is None else deposited.digest.hex(),
        "salt": None if deposited.salt is None else deposited.salt.hex(),
        "compared": deposited.is_compared,
    }


def _bucket(record_class: RecordClass, ahead: BucketAhead) -> dict[str, str]:
    return {
        "class": record_class.id,
        "first_day": ahead.first_day.isoformat(),
        "last_day": ahead.last_day.isoformat(),
        "bucket": ahead.row.id,
        "public_key": ahead.row.public_key.hex(),
    }


def _json(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(json.dumps(value).encode(), status, media_type="application/json")


async def _problem(_: Request, error: Exception) -> Response:
    return problem_response(error if isinstance(error, KuraError) else IntegrityError("unexpected", reason="-"))


async def _no_route(_: Request, error: Exception) -> Response:
    """A path or a method that is not here."""
    if not isinstance(error, HTTPException) or error.status_code != HTTPStatus.METHOD_NOT_ALLOWED:
        return problem_response(NotFoundError("route-unknown"))
    response = problem_response(RefusedError("method-not-allowed"))
    response.headers.update(error.headers or {})  # Allow: which are (RFC 9110, section 15.5.6)
    return response


async def _defect(_: Request, error: Exception) -> Response:
    """A database that went away; or a defect: told by its type, logged with where it was, never what it was about."""
    if is_passing(error):
        return problem_response(told(error))
    frames = traceback.extract_tb(error.__traceback__)
    at = f"{frames[-1].name}:{frames[-1].lineno}" if frames else "-"
    service_log().error("defect", reason=type(error).__name__, at=at)
    return problem_response(IntegrityError("unexpected", reason=type(error).__name__))
