"""Bulk import: PDFs, video segments, and segments in two copies, against the yardstick's durable files.

One record, one event and one encoded receipt for each file; type, limits and structure checked as in production.
"""

from collections.abc import Callable

from bench.against import contest, yardstick_put
from bench.child import run
from bench.inputs import Inputs
from bench.options import Options
from bench.park import park
from bench.result import Result
from bench.vaults import make_vault, timed_import


def ingest_pdf(options: Options) -> Result:
    """5,000 PDFs of 60 to 400 KiB by bulk import."""
    inputs = options.pdfs()
    return contest("ingest-pdf", options, inputs, vault_import(options, inputs), yardstick_put(options, inputs))


def ingest_video(options: Options) -> Result:
    """100 video segments of 12 MiB by bulk import, one copy."""
    inputs = options.segments()
    return contest("ingest-video", options, inputs, vault_import(options, inputs), yardstick_put(options, inputs))


def two_copies(options: Options) -> Result:
    """The same segments into two stores, against the yardstick storing each file twice."""
    inputs = options.segments()
    ours, theirs = vault_import(options, inputs, copies=2), yardstick_put(options, inputs, copies=2)
    return contest("two-copies", options, inputs, ours, theirs)


def vault_import(options: Options, inputs: Inputs, copies: int = 1) -> Callable[[], float]:
    """Give a run that imports the inputs into a fresh vault."""

    def measured() -> float:
        folder = options.fresh("vault")
        make_vault(folder, copies)
        seconds = float(run(timed_import, folder, inputs.folder).figures["seconds"])
        park(folder)
        return seconds

    return measured
