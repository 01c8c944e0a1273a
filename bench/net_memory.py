"""Peak memory of the service above idle: one upload of 10 GiB, a thousand uploads at once, two hundred stalled ones.

Idle is a served vault that has taken one record of each kind and has no connection. Peaks are the process's own
high-water marks of resident memory. While the two hundred stall, eight others deposit, and must not notice.
"""

import socket
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uuid_utils

from bench.child import run
from bench.inputs import pdf
from bench.load import head_for, read_answer, send_all
from bench.memory import SyntheticVideo, forget_peak, resident_mib
from bench.options import Options
from bench.pairs import spread
from bench.park import park
from bench.result import Result
from bench.service import served
from bench.vaults import make_vault

_LIMIT_MIB = 150.0
_HOST = "localhost"
_SMALL_BYTES = 200 << 10
_BLOCK_BYTES = 1 << 20
_STACK_BYTES = 512 << 10


def net_memory(options: Options) -> Result:
    """Peak memory of the service above idle, against 150 MiB."""
    large = (64 << 20) if options.quick else (10 << 30)
    many, stalled = (50, 20) if options.quick else (1000, 200)
    folder = options.fresh("vault")
    make_vault(folder)
    peaks: dict[str, float] = {}
    with served(folder) as service:
        status = Path(f"/proc/{service.process_id}")
        idle_mib = resident_mib("VmRSS", status)
        pdfs, videos, authority = service.certificate(".pdf"), service.certificate(".mp4"), service.authority
        for name, load, *arguments in (
            ("large_mib", send_large, videos, authority, large),
            ("many_mib", send_many, pdfs, authority, many),
            ("stalled_mib", stall_some, pdfs, authority, stalled, options.pdfs().folder),
        ):
            forget_peak(status)
            run(load, service.port, *arguments)
            peaks[name] = round(resident_mib("VmHWM", status) - idle_mib, 1)
    park(folder)
    extra = peaks | {"idle_mib": round(idle_mib, 1), "bytes": large, "uploads": many, "stalled": stalled}
    peak = max(peaks.values())
    return Result("net-memory", peak, "MiB above idle", _LIMIT_MIB, spread([_LIMIT_MIB / peak]), extra)


def send_large(port: int, certificate: str, authority: str, content_bytes: int) -> Mapping[str, Any]:
    """Send one recording."""
    source, buffer = SyntheticVideo(content_bytes), memoryview(bytearray(_BLOCK_BYTES))
    with _connected(port, certificate, authority) as tls:
        tls.sendall(head_for(f"{uuid_utils.uuid7()}.mp4", content_bytes))
        while count := source.read_into(buffer):
            tls.sendall(buffer[:count])
        read_answer(tls)
    return {}


def send_many(port: int, certificate: str, authority: str, count: int) -> Mapping[str, Any]:
    """Begin many uploads at once, each over a connection of its own."""
    threading.stack_size(_STACK_BYTES)
    failures: list[Exception] = []

    def send(number: int) -> None:
        content = pdf(bytes([number % 256]) * _SMALL_BYTES)
        try:
            with _connected(port, certificate, authority) as tls:
                tls.sendall(head_for(f"{number}.pdf", len(content)) + content)
                read_answer(tls)
        except (OSError, RuntimeError) as error:
            failures.append(error)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return {}


def stall_some(port: int, certificate: str, authority: str, count: int, source: str) -> Mapping[str, Any]:
    """Begin uploads that never go on, small ones and large ones; deposit by others meanwhile."""
    begun = []
    for number in range(count):
        announced = _SMALL_BYTES if number % 2 else 20 << 20
        tls = _connected(port, certificate, authority)
        tls.sendall(head_for(f"{number}.pdf", announced) + b"%PDF-1.7\n" + bytes(1000))
        begun.append(tls)
    send_all(port, certificate, authority, source, 8, 1)
    for tls in begun:
        tls.close()
    return {}


def _connected(port: int, certificate: str, authority: str) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate)
    return context.wrap_socket(socket.create_connection((_HOST, port)), server_hostname=_HOST)
