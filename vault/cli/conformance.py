"""What a station may rely on, tried against a trial vault from its side, as `docs/integration.md` promises it.

Every check says what came where it should not have; none stops the others.
"""

import base64
import hashlib
import json
import secrets
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException

from vault.api.batch import MEDIA_TYPE as BATCH
from vault.cli.asking import Answer, Asking, FailedError, expect, require
from vault.client import Deposit
from vault.client.answers import Ledger, Sent
from vault.client.deposit import header_text
from vault.client.record_id import new_record_id
from vault.client.station_folder import StationFolder
from vault.errors import KuraError

Names = tuple[str, str]
"""What a check is about, in English and in Japanese."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One check and what came of it: `failed` says what was wrong, None where nothing was."""

    names: Names
    failed: str | None


class Conformance:
    """Tries one vault with one station's certificate."""

    def __init__(self, folder: StationFolder, document: bytes, deposit: Deposit) -> None:
        """Take the station, a document, and what is said of it."""
        self._folder, self._document, self._deposit = folder, document, deposit
        self._asking = Asking(folder)
        self._record, self._receipt_text, self._number = new_record_id(), "", 1

    def checks(self) -> Iterator[Checked]:
        """Try everything, in order."""
        for names, check in self._all():
            try:
                check()
            except (FailedError, KuraError) as error:
                yield Checked(names, str(error))
            except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
                yield Checked(names, type(error).__name__)
            else:
                yield Checked(names, None)

    def _all(self) -> list[tuple[Names, Callable[[], None]]]:
        return [
            (
                ("the vault knows the station, and proves itself", "Kura が送信端末を認識し、自身を証明する"),
                self._health,
            ),
            (("without a certificate nobody comes in", "証明書のない接続は拒否される"), self._without_certificate),
            (("a deposit gives a receipt that proves it", "登録すると、それを証明する登録証明が返る"), self._deposits),
            (("the same again gives the same receipt", "同じ送信を繰り返しても同じ登録証明が返る"), self._repeats),
            (("the receipt can be asked for again", "登録証明を再取得できる"), self._receipt),
            (("the same id with other bytes is refused", "同じIDで別のデータは拒否される"), self._other_bytes),
            (("a number used twice is refused", "番号の重複は拒否される"), self._number_again),
            (
                ("bytes of another digest are refused, and gone", "ハッシュ値の異なるデータは拒否され、残らない"),
                self._digest,
            ),
            (("an upload that is cut leaves nothing", "途中で切れた送信は何も残さない"), self._cut),
            (("a record class that is none is refused", "存在しない記録区分は拒否される"), self._class),
            (("a header that cannot be read is refused", "読み取れないヘッダーは拒否される"), self._header),
            (
                ("in a batch the good are taken, the bad are told", "一括登録では正しいものだけが登録される"),
                self._batch,
            ),
            (("nothing can be read back", "何も読み出せない"), self._reads),
        ]

    def _health(self) -> None:
        health = expect(self._asking.ask("GET", "/v1/health"), 200).json
        require(health["station"] == self._folder.name, f"station {health['station']}")
        require(health["log_vkey"] == self._folder.ledger_key().encode(), "log.vkey")
        self._number = int(str(health["newest"])) + 1

    def _without_certificate(self) -> None:
        try:
            answer = self._asking.ask_without_certificate("/v1/health")
        except (ssl.SSLError, ConnectionError):
            return
        raise FailedError(answer.told)

    def _deposits(self) -> None:
        answer = expect(self._put(self._record, self._document, self._number), 201)
        self._receipt_text = str(answer.json["receipt"])
        self._checked(answer, is_new=True)

    def _repeats(self) -> None:
        answer = expect(self._put(self._record, self._document, self._number), 200)
        self._checked(answer, is_new=False)
        require(answer.json["receipt"] == self._receipt_text, "another receipt")

    def _receipt(self) -> None:
        answer = expect(self._asking.ask("GET", f"/v1/deposits/{self._record}/receipt"), 200)
        require(answer.body.decode() == self._receipt_text, "another receipt")

    def _other_bytes(self) -> None:
        expect(self._put(self._record, self._document + b"\n", self._number), 409, "record-id-taken")

    def _number_again(self) -> None:
        expect(self._put(new_record_id(), self._document, self._number), 409, "sequence-taken")

    def _digest(self) -> None:
        record_id, digest = new_record_id(), base64.b64encode(secrets.token_bytes(32)).decode()
        answer = self._put(record_id, self._document, self._number + 1, {"Content-Digest": f"sha-256=:{digest}:"})
        expect(answer, 422, "digest-not-as-announced")
        expect(self._asking.ask("GET", f"/v1/deposits/{record_id}/receipt"), 404)

    def _cut(self) -> None:
        record_id, fields = new_record_id(), {"Kura-Deposit": self._said(self._number + 1)}
        half = self._document[: len(self._document) // 2]
        self._asking.put_and_cut(f"/v1/deposits/{record_id}", fields, half, len(self._document))
        expect(self._asking.ask("GET", f"/v1/deposits/{record_id}/receipt"), 404)

    def _class(self) -> None:
        said = self._said(self._number + 1, {"class": "no_such_class"})
        expect(self._asking.ask("PUT", f"/v1/deposits/{new_record_id()}", {"Kura-Deposit": said}, b"x"), 422)

    def _header(self) -> None:
        expect(self._asking.ask("PUT", f"/v1/deposits/{new_record_id()}", {"Kura-Deposit": "{}"}, b"x"), 400)

    def _batch(self) -> None:
        good, bad = new_record_id(), new_record_id()
        body = b""
        for record_id, content, number in ((good, self._document, 1), (bad, b"nothing that a class takes", 2)):
            members = self._deposit.members(self._number + number) | {"id": record_id, "content_bytes": len(content)}
            body += json.dumps(members).encode() + b"\n" + content
        answer = expect(self._asking.ask("POST", "/v1/deposits:batch", {"Content-Type": BATCH}, body), 200)
        first, second = json.loads(answer.body)["results"]
        require("receipt" in first, str(first.get("problem")))
        require("problem" in second, "both were taken")

    def _reads(self) -> None:
        answer = self._asking.ask("GET", f"/v1/deposits/{self._record}")
        require(answer.status == HTTPStatus.METHOD_NOT_ALLOWED, answer.told)

    def _checked(self, answer: Answer, *, is_new: bool) -> None:
        """Believe an answer only by its receipt."""
        key = self._folder.ledger_key()
        ledger = Ledger(key, key.name.rpartition("/")[2].partition(".")[0], self._folder.name)
        digest = hashlib.sha256(self._document).digest()
        ledger.taken(answer.json, Sent(self._record, self._deposit.class_id, self._number, digest), is_new=is_new)

    def _put(self, record_id: str, content: bytes, number: int, more: Mapping[str, str] | None = None) -> Answer:
        fields = {"Kura-Deposit": self._said(number)} | dict(more or {})
        return self._asking.ask("PUT", f"/v1/deposits/{record_id}", fields, content)

    def _said(self, number: int, more: Mapping[str, str] | None = None) -> str:
        return header_text(self._deposit.members(number) | dict(more or {}))
