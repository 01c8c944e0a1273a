"""Deposits over TLS by 8 connections, against what the yardstick and the network part cost one after the other.

The bar is a pipeline of the two: 1/(1/yardstick + 1/sink), the sink being the same server keeping nothing, in the same
round. Service, load and yardstick share the machine's cores.
"""

from collections.abc import Callable

from bench.against import yardstick_put
from bench.child import run
from bench.inputs import Inputs
from bench.load import send_all
from bench.options import Options
from bench.pairs import alternate, ratios, spread
from bench.park import park
from bench.result import Result
from bench.service import served
from bench.vaults import make_vault

_CLIENTS = 8
_TOGETHER = 64


def net_pdf(options: Options) -> Result:
    """5,000 PDFs over TLS, each deposited alone."""
    return _contest("net-pdf", options, options.pdfs(), 1)


def net_video(options: Options) -> Result:
    """100 segments of 12 MiB over TLS."""
    return _contest("net-video", options, options.segments(), 1)


def net_batch(options: Options) -> Result:
    """5,000 PDFs over TLS, 64 in a batch."""
    return _contest("net-batch", options, options.pdfs(), _TOGETHER)


def _contest(name: str, options: Options, inputs: Inputs, together: int) -> Result:
    cases = {
        "vault": _sent(options, inputs, together, sink=False),
        "sink": _sent(options, inputs, together, sink=True),
        "yardstick": yardstick_put(options, inputs),
    }
    seconds = alternate(cases, options.rounds)
    in_turn = [sum(pair) for pair in zip(seconds["sink"], seconds["yardstick"], strict=True)]
    count = len(inputs.paths)
    extra = {
        "sink_s": spread(seconds["sink"]).median,
        "yardstick_s": spread(seconds["yardstick"]).median,
        "files": count,
        "clients": _CLIENTS,
        "rounds": options.rounds,
        "quick": options.quick,
    }
    ours, theirs = spread(seconds["vault"]).median, spread(in_turn).median
    return Result(name, count / ours, "files/s", count / theirs, ratios(in_turn, seconds["vault"]), extra)


def _sent(options: Options, inputs: Inputs, together: int, *, sink: bool) -> Callable[[], float]:
    """Give a run that sends the inputs to a fresh vault, or to its sink."""

    def measured() -> float:
        folder = options.fresh("sink" if sink else "vault")
        make_vault(folder, copies=1)
        with served(folder, "sink" if sink else "vault") as service:
            certificate = service.certificate(inputs.paths[0].suffix)
            arguments = (service.port, certificate, service.authority, inputs.folder, _CLIENTS, together)
            seconds = float(run(send_all, *arguments).figures["seconds"])
        park(folder)
        return seconds

    return measured
