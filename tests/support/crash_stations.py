"""Stations that send while their vault is killed: what was not acknowledged they send again, with its id and number."""

import http.client
import json
import random
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import crash_load
import vaults
from narrow_api import PlainStation, deposit_header

BATCH = 4


@dataclass(frozen=True)
class Item:
    """One record, with its number."""

    record_id: str
    sequence: int
    content: bytes


@dataclass
class Sender:
    """One station; what it knows survives every kill of the vault."""

    name: str
    kind: str
    context: ssl.SSLContext
    rng: random.Random
    waiting: list[list[Item]] = field(default_factory=list)  # sent, and not acknowledged
    receipts: dict[str, str] = field(default_factory=dict)
    unchecked: list[str] = field(default_factory=list)  # acknowledged since the last kill
    newest: int = 0

    def work(self, port: int, rounds: int) -> bool:
        """Send what waits, and more; say whether the vault lived to the end."""
        station = PlainStation(self.name, port, self.context)
        try:
            self._require_kept(station)
            for items in list(self.waiting):
                self._send(station, items)
            for _ in range(rounds):
                self.waiting.append(self._next())
                self._send(station, self.waiting[-1])
        except (OSError, http.client.HTTPException):
            return False
        finally:
            station.close()
        return True

    def _require_kept(self, station: PlainStation) -> None:
        """Ask for every receipt again that came before the kill."""
        assert station.ask("GET", "/v1/health").json["takes"]
        for record_id in list(self.unchecked):
            answer = station.ask("GET", f"/v1/deposits/{record_id}/receipt")
            assert (answer.status, answer.body.decode()) == (200, self.receipts[record_id])
            self.unchecked.remove(record_id)

    def _next(self) -> list[Item]:
        count = BATCH if self.kind == "exchange" and self.rng.random() < 0.4 else 1
        items = []
        for _ in range(count):
            self.newest += 1
            items.append(Item(vaults.new_id(), self.newest, self._content(is_alone=count == 1)))
        return items

    def _content(self, *, is_alone: bool) -> bytes:
        if self.kind == "counter":
            return b"".join(b"%d,%d\n" % (line, self.rng.randrange(99)) for line in range(self.rng.randrange(1, 99)))
        seed = self.rng.randrange(1 << 30)
        if self.kind == "recorder":
            return crash_load.video(seed, self.rng.choice([900, 900, crash_load.LARGE]))
        return crash_load.sound(seed, self.rng.choice([40, 400, 4_000, crash_load.LARGE // 2]) if is_alone else 400)

    def _send(self, station: PlainStation, items: list[Item]) -> None:
        for result in self._answers(station, items):
            record_id, receipt = result["record"], result["receipt"]
            assert self.receipts.setdefault(record_id, receipt) == receipt
            self.unchecked.append(record_id)
        self.waiting.remove(items)

    def _answers(self, station: PlainStation, items: Sequence[Item]) -> Iterator[dict[str, Any]]:
        if len(items) > 1:
            body = b"".join(
                json.dumps(self._said(item) | {"content_bytes": len(item.content)}).encode() + b"\n" + item.content
                for item in items
            )
            answer = station.ask("POST", "/v1/deposits:batch", body, content_type="application/vnd.kura.batch")
            assert answer.status == 200, answer.body
            yield from answer.json["results"]
            return
        [item] = items
        said = self._said(item)
        if self.kind == "counter":
            del said["class"]
            header = deposit_header(**{"class": None, "subject_key": None}, **said)
            answer = station.ask("POST", "/v1/journals/counter_tally", item.content, kura_deposit=header)
        else:
            del said["id"]
            header = deposit_header(subject_key=None, **said)
            answer = station.ask("PUT", f"/v1/deposits/{item.record_id}", item.content, kura_deposit=header)
        assert answer.status in (200, 201), answer.body
        yield answer.json

    def _said(self, item: Item) -> dict[str, object]:
        classes = {"counter": "counter_tally", "exchange": "call_recording", "recorder": "surveillance_video"}
        times = {"started_at": "2026-11-20T09:00:00+09:00", "ended_at": "2026-11-20T10:00:00+09:00"}
        return {"id": item.record_id, "class": classes[self.kind], "sequence": item.sequence} | times
