import io
import struct
import wave
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.errors import RefusedError
from vault.records.intake.wav import wav_check

PCM_GUID = bytes.fromhex("0100000000001000800000aa00389b71")


def recorded(channels: int = 1, rate: int = 8000, sample_bytes: int = 2, frames: int = 50) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(channels)
        sound.setframerate(rate)
        sound.setsampwidth(sample_bytes)
        sound.writeframes(bytes(channels * sample_bytes * frames))
    return out.getvalue()


def fmt(
    form: int = 1, channels: int = 1, rate: int = 8000, align: int = 2, bits: int = 16, extra: bytes = b""
) -> bytes:
    return struct.pack("<HHIIHH", form, channels, rate, rate * align, align, bits) + extra


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if size is None else size) + body + bytes(len(body) % 2)


def riff(*chunks: bytes, size: int | None = None, tail: bytes = b"") -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body + tail


def rf64(*chunks: bytes, riff_bytes: int, data_bytes: int) -> bytes:
    ds64 = chunk(b"ds64", struct.pack("<QQQI", riff_bytes, data_bytes, data_bytes // 2, 0))
    return b"RF64\xff\xff\xff\xffWAVE" + ds64 + b"".join(chunks)


def check(document: bytes, *cuts: int) -> None:
    checker = wav_check()
    edges = [0, *sorted(cuts), len(document)]
    for start, end in pairwise(edges):
        checker.update(document[start:end])
    checker.begin()
    checker.finish()


EXTENSIBLE = fmt(0xFFFE, extra=struct.pack("<HHI", 22, 16, 4) + PCM_GUID)
FMT, DATA = chunk(b"fmt ", fmt()), chunk(b"data", bytes(100))
SOUND = [
    recorded(),
    recorded(channels=2, rate=48000, sample_bytes=3),
    recorded(sample_bytes=1, frames=51),  # of odd length, and the writer adds no padding
    riff(chunk(b"LIST", b"odd"), FMT, DATA, chunk(b"id3 ", b"after")),
    riff(chunk(b"fmt ", EXTENSIBLE), DATA),
    riff(chunk(b"fmt ", fmt(extra=b"\0\0")), chunk(b"fact", bytes(4)), DATA),
    riff(chunk(b"fmt ", fmt(align=1, bits=8)), chunk(b"data", bytes(51)), size=12 + 24 + 51),
    rf64(FMT, chunk(b"data", bytes(100), 0xFFFFFFFF), riff_bytes=4 + 36 + 24 + 108, data_bytes=100),
]
REFUSED = {
    "empty document": (b"", "truncated"),
    "header only": (riff(FMT, DATA)[:12], "truncated"),
    "cut in the samples": (riff(FMT, DATA)[:-1], "truncated"),
    "bytes after the end": (riff(FMT, DATA, tail=b"xx"), "riff-size"),
    "not RIFF": (b"RIFX" + riff(FMT, DATA)[4:], "riff"),
    "not WAVE": (riff(FMT, DATA).replace(b"WAVE", b"AVI "), "riff"),
    "data before fmt": (riff(DATA, FMT), "chunk-order"),
    "data twice": (riff(FMT, DATA, DATA), "chunk-order"),
    "fmt twice": (riff(FMT, FMT, DATA), "fmt"),
    "no data": (riff(FMT), "no-data"),
    "no chunk": (riff(), "no-data"),
    "data longer than the document": (riff(FMT, chunk(b"data", bytes(100), 102)), "chunk-size"),
    "half a frame": (riff(FMT, chunk(b"data", bytes(101))), "data-size"),
    "short fmt": (riff(chunk(b"fmt ", fmt()[:14]), DATA), "fmt"),
    "endless fmt": (riff(chunk(b"fmt ", fmt() + bytes(200)), DATA), "fmt"),
    "no channel": (riff(chunk(b"fmt ", fmt(channels=0, align=0)), DATA), "fmt"),
    "nine channels": (riff(chunk(b"fmt ", fmt(channels=9, align=18)), DATA), "fmt"),
    "slow": (riff(chunk(b"fmt ", fmt(rate=3999)), DATA), "fmt"),
    "fast": (riff(chunk(b"fmt ", fmt(rate=192001)), DATA), "fmt"),
    "twelve bits": (riff(chunk(b"fmt ", fmt(bits=12)), DATA), "fmt"),
    "block align": (riff(chunk(b"fmt ", fmt(align=4)), DATA), "block-align"),
    "mu-law": (riff(chunk(b"fmt ", fmt(7, align=1, bits=8)), DATA), "not-pcm"),
    "extensible, not PCM": (riff(chunk(b"fmt ", EXTENSIBLE[:24] + b"\x03" + EXTENSIBLE[25:]), DATA), "not-pcm"),
    "extensible without its form": (riff(chunk(b"fmt ", fmt(0xFFFE)), DATA), "not-pcm"),
    "RF64 without ds64": (b"RF64\xff\xff\xff\xffWAVE" + FMT + DATA, "ds64"),
    "many chunks": (riff(chunk(b"junk", b"") * 10_001, FMT, DATA), "chunks"),
}
UNFINISHED = {
    "riff size 0": riff(FMT, DATA, size=0),
    "riff size unknown": riff(FMT, DATA, size=0xFFFFFFFF),
    "data size unknown": riff(FMT, chunk(b"data", bytes(100), 0xFFFFFFFF)),
    "data size 0 with sound behind it": riff(FMT, chunk(b"data", bytes(100), 0)),
    "RF64 sizes 0": rf64(FMT, chunk(b"data", bytes(100), 0xFFFFFFFF), riff_bytes=0, data_bytes=0),
}


@pytest.mark.parametrize("document", SOUND)
def test_sound_is_taken_however_it_is_cut(document: bytes) -> None:
    for cut in range(len(document)):
        check(document, cut)
    check(document, *range(len(document)))


@pytest.mark.parametrize(("document", "reason"), REFUSED.values(), ids=REFUSED)
def test_malformed_sound_is_refused_however_it_is_cut(document: bytes, reason: str) -> None:
    for cut in range(min(len(document) + 1, 300) if len(document) < 1000 else 1):
        with pytest.raises(RefusedError) as refused:
            check(document, cut)
        assert (refused.value.code, refused.value.facts) == ("wav-malformed", {"reason": reason})


@pytest.mark.parametrize("document", UNFINISHED.values(), ids=UNFINISHED)
def test_a_recording_never_finished_is_refused(document: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        check(document)
    assert refused.value.code == "wav-unfinished"


def test_a_recording_without_samples_is_refused() -> None:
    with pytest.raises(RefusedError) as refused:
        check(riff(FMT, chunk(b"data", b"")))
    assert refused.value.code == "wav-empty"


@pytest.mark.parametrize("document", SOUND)
def test_every_shorter_document_is_refused(document: bytes) -> None:
    for length in range(len(document) - 1):  # the last byte may be padding, and that may be missing
        with pytest.raises(RefusedError):
            check(document[:length])


def test_a_refusal_is_raised_at_the_end_and_again() -> None:
    checker = wav_check()
    checker.update(b"nothing like sound")
    checker.update(b"and more of it")
    for _ in range(2):
        with pytest.raises(RefusedError):
            checker.finish()


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_bytes_are_refused_or_taken_but_nothing_else(noise: bytes, keep: int) -> None:
    document = riff(FMT, DATA)
    for candidate in (noise, document[:keep] + noise, document[: keep % 44] + noise + document[keep % 44 :]):
        try:
            check(candidate)
        except RefusedError as refused:
            assert refused.code.startswith("wav-")  # noqa: PT017  # which of them does not matter
