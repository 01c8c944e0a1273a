"""What a day at the counter brings: scanned applications, receipts, a call, a clip, a tally. Made up or read here.

The project carries a scanned page and a call; `samples` may name a folder with more (`scans/*.pdf`, `calls/*.wav`,
`video/*.mp4`). Numbers and names are invented.
"""

import io
import struct
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from itertools import cycle
from pathlib import Path

import pikepdf

from retention.roles import StationKind
from vault.client import Deposit

_VISITORS = 12
_CLIP_BYTES = 1_500_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One thing that is deposited: by which kind of station, what is said of it, and its bytes."""

    station: StationKind
    deposit: Deposit
    content: bytes


def sample_day(now: datetime, samples: Path | None) -> list[Sample]:
    """Give the day in order: an application and a receipt per visitor, a call and a clip of video, and the tally."""
    scans = cycle([*_found(samples, "scans/*.pdf"), _packaged("book-page.pdf")])
    call = next(iter(_found(samples, "calls/*.wav")), _packaged("call.wav"))
    clip = next(iter(_found(samples, "video/*.mp4")), _clip())
    day: list[Sample] = []
    for visitor in range(1, _VISITORS + 1):
        for class_id, title_code, content in (
            ("application_form", "A-01", next(scans)),
            ("issuance_receipt", "R-01", _receipt_form(visitor)),
        ):
            deposit = Deposit(
                class_id=class_id,
                subject_key=f"NIS-2026-{visitor:05d}",
                ended_at=now - timedelta(minutes=10 * (_VISITORS - visitor)),
                title_code=title_code,
                file_name=f"{class_id}-{visitor:03d}.pdf",
            )
            day.append(Sample(StationKind.COUNTER, deposit, content))
    tally = f"class,count\napplication_form,{_VISITORS}\nissuance_receipt,{_VISITORS}\n".encode()
    return [
        *day,
        Sample(StationKind.EXCHANGE, _recorded("call_recording", now, timedelta(seconds=4)), call),
        Sample(StationKind.RECORDER, _recorded("surveillance_video", now, timedelta(minutes=1)), clip),
        Sample(StationKind.COUNTER, _recorded("counter_tally", now, timedelta(hours=8)), tally),
    ]


def _recorded(class_id: str, now: datetime, length: timedelta) -> Deposit:
    return Deposit(class_id=class_id, started_at=now - length, ended_at=now)


def _receipt_form(visitor: int) -> bytes:
    """Draw a one-page issuance receipt; the same bytes for the same visitor."""
    lines = ("ISSUANCE RECEIPT (sample)", f"Progress number NIS-2026-{visitor:05d}", "Signed by the recipient: X")
    text = "BT /F1 18 Tf 72 760 Td 26 TL " + " ".join(f"({line}) Tj T*" for line in lines) + " ET"
    with pikepdf.new() as document:
        font = pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
        page = document.add_blank_page(page_size=(595, 842))
        page.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
        page.Contents = document.make_stream(text.encode("ascii"))
        drawn = io.BytesIO()
        document.save(drawn, deterministic_id=True)
    return drawn.getvalue()


def _clip() -> bytes:
    """Give the boxes of an MP4 file around a grey noise: enough for a place where no camera's clip is at hand."""
    header = _box(b"ftyp", b"isom\0\0\2\0isommp42") + _box(b"moov", _box(b"mvhd", bytes(100)))
    return header + _box(b"mdat", bytes(range(256)) * (_CLIP_BYTES // 256))


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _packaged(name: str) -> bytes:
    return files("vault.cli").joinpath("sample", name).read_bytes()


def _found(samples: Path | None, pattern: str) -> list[bytes]:
    return [] if samples is None else [path.read_bytes() for path in sorted(samples.glob(pattern))]
