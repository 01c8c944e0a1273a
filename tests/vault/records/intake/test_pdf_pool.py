import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vault.errors import RefusedError, UnavailableError
from vault.records.intake.pdf_batch import PdfBatch, PdfCheck
from vault.records.intake.pdf_pool import PdfPool

MIB = 1 << 20
PdfOf = Callable[..., bytes]


def put(pool: PdfPool, document: bytes, announced: int | None = None, step: int = MIB) -> PdfCheck:
    return put_into(pool.batch(), document, announced, step)


def put_into(batch: PdfBatch, document: bytes, announced: int | None = None, step: int = MIB) -> PdfCheck:
    check = batch.check(announced)
    for start in range(0, len(document), step):
        check.update(memoryview(document)[start : start + step])
    return check


def code_of(check: PdfCheck) -> str:
    try:
        check.finish()
    except RefusedError as refused:
        return refused.code
    return "ok"


def wait_for_end(process_id: int) -> None:
    """Return when a process that is not our child has ended."""
    try:
        descriptor = os.pidfd_open(process_id)
    except ProcessLookupError:
        return
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    assert poll.poll(10_000)
    os.close(descriptor)


def test_no_worker_runs_before_the_first_document(pool: PdfPool, small_pdf: bytes) -> None:
    pool.batch().check()
    assert pool.worker_ids() == []
    assert code_of(put(pool, small_pdf)) == "ok"
    assert len(pool.worker_ids()) == 1


@pytest.mark.parametrize("step", [1, 7, 100, MIB])
def test_a_healthy_pdf_is_taken_however_it_is_cut(pool: PdfPool, small_pdf: bytes, step: int) -> None:
    assert code_of(put(pool, small_pdf, step=step)) == "ok"


@pytest.mark.parametrize("size", [MIB - 1024, MIB, MIB + 1, 5 * MIB + 77])
@pytest.mark.parametrize("step", [MIB, 100_001])
@pytest.mark.parametrize("announce", [False, True])
def test_a_healthy_pdf_is_taken_at_any_size(
    pool: PdfPool, scan_of: Callable[[int], bytes], size: int, step: int, *, announce: bool
) -> None:
    document = scan_of(size)
    assert code_of(put(pool, document, len(document) if announce else None, step)) == "ok"
    assert code_of(put(pool, document[:-100], len(document) - 100 if announce else None, step)) == "pdf-malformed"


@pytest.mark.parametrize("document", [b"", b"%PDF-", b"%PDF-1.7\n%%EOF\n", b"<html>", bytes(1000)])
def test_what_is_no_pdf_is_refused(pool: PdfPool, document: bytes) -> None:
    assert code_of(put(pool, document)) == "pdf-malformed"


def test_a_verdict_can_be_asked_for_again(pool: PdfPool, small_pdf: bytes) -> None:
    healthy, damaged = put(pool, small_pdf), put(pool, small_pdf[:-40])
    for _ in range(2):
        healthy.begin()
        assert code_of(healthy) == "ok"
        assert code_of(damaged) == "pdf-malformed"


def test_a_pdf_larger_than_the_budget_is_refused(pool: PdfPool, small_pdf: bytes) -> None:
    check = pool.batch().check()
    for _ in range(65):
        check.update(bytes(MIB))
    assert code_of(check) == "pdf-too-large"
    assert code_of(put(pool, small_pdf, announced=65 * MIB)) == "pdf-too-large"
    assert code_of(put(pool, bytes(4 * MIB), announced=2 * MIB)) == "pdf-too-large"
    check.update(b"more")
    assert code_of(put(pool, bytes(2 * MIB))) == "pdf-malformed"  # all memory is there again


def test_a_thousand_documents_from_eight_threads(pool: PdfPool, scan: bytes, small_pdf: bytes, pdf_of: PdfOf) -> None:
    kinds = {
        "ok": [scan, small_pdf],
        "pdf-malformed": [scan[:-50]],
        "pdf-no-pages": [pdf_of(b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>")],
    }
    documents = [(code, document) for code, same in kinds.items() for document in same]
    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(lambda number: code_of(put(pool, documents[number % len(documents)][1])), range(1000))
    assert list(answers) == [documents[number % len(documents)][0] for number in range(1000)]
    assert len(pool.worker_ids()) <= 2


def test_large_documents_from_many_threads_share_the_budget(pool: PdfPool, scan_of: Callable[[int], bytes]) -> None:
    document = scan_of(24 * MIB)

    def deposit(number: int) -> str:
        return code_of(put(pool, document, len(document) if number % 2 else None))

    with ThreadPoolExecutor(6) as threads:
        assert set(threads.map(deposit, range(12))) == {"ok"}


def test_a_batch_may_begin_more_documents_than_there_are_slots(
    pool: PdfPool, small_pdf: bytes, scan_of: Callable[[int], bytes]
) -> None:
    batch, large = pool.batch(), scan_of(30 * MIB)
    checks = []
    for number in range(200):
        checks.append(put_into(batch, large if number % 50 == 7 else small_pdf))
        checks[-1].begin()
        if number % 20 == 0:
            batch.begin()
    assert {code_of(check) for check in checks} == {"ok"}


def test_batches_of_many_threads_wait_for_each_other_and_end(pool: PdfPool, scan_of: Callable[[int], bytes]) -> None:
    """More documents at a time than there are slots, large ones among them, and fewer workers than threads."""
    small, large = scan_of(100_000), scan_of(20 * MIB)

    def deposit(number: int) -> set[str]:
        batch = pool.batch()
        checks = []
        for place in range(16):
            checks.append(put_into(batch, large if place == number % 16 else small))
            checks[-1].begin()
        batch.begin()
        return {code_of(check) for check in checks}

    with ThreadPoolExecutor(8) as threads:
        assert set().union(*threads.map(deposit, range(32))) == {"ok"}


def test_what_is_wrong_in_a_batch_is_told_of_that_document_only(pool: PdfPool, small_pdf: bytes) -> None:
    batch = pool.batch()
    checks = []
    for number in range(70):
        checks.append(put_into(batch, small_pdf if number % 3 else small_pdf[:-40]))
        checks[-1].begin()
    assert [code_of(check) for check in checks] == ["ok" if number % 3 else "pdf-malformed" for number in range(70)]


def test_a_worker_that_fails_over_one_of_a_batch_costs_that_document_only(pool: PdfPool, small_pdf: bytes) -> None:
    assert code_of(put(pool, small_pdf)) == "ok"
    (worker,) = pool.worker_ids()
    os.kill(worker, signal.SIGSTOP)
    batch, checks = pool.batch(), []
    for _ in range(40):
        checks.append(put_into(batch, small_pdf))
        checks[-1].begin()
    batch.begin()
    os.kill(worker, signal.SIGKILL)
    assert [code_of(check) for check in checks] == ["pdf-check-failed"] + ["ok"] * 39
    assert worker not in pool.worker_ids()


def test_a_batch_given_up_frees_its_worker_and_its_memory(small_pdf: bytes) -> None:
    pool = PdfPool(workers=1)
    for _ in range(3):
        batch = pool.batch()
        for _ in range(40):
            put_into(batch, small_pdf).begin()
        batch.begin()
        batch.abort()
        batch.abort()
        forgotten = pool.batch()
        for _ in range(40):
            put_into(forgotten, small_pdf).begin()
        forgotten.begin()
        del forgotten
    assert code_of(put(pool, small_pdf)) == "ok"
    pool.close()


def test_given_up_and_forgotten_documents_free_their_memory(pool: PdfPool, small_pdf: bytes) -> None:
    for _ in range(100):
        given_up = put(pool, small_pdf)
        given_up.abort()
        given_up.abort()
        put(pool, small_pdf)  # forgotten
        put(pool, bytes(2 * MIB)).abort()
        put(pool, bytes(2 * MIB), 2 * MIB)
    assert code_of(put(pool, small_pdf)) == "ok"


def test_a_worker_killed_over_a_document_costs_that_document_only(pool: PdfPool, small_pdf: bytes) -> None:
    assert code_of(put(pool, small_pdf)) == "ok"
    (worker,) = pool.worker_ids()
    os.kill(worker, signal.SIGSTOP)
    batch = pool.batch()
    check = put_into(batch, small_pdf)
    check.begin()
    batch.begin()
    os.kill(worker, signal.SIGKILL)
    assert code_of(check) == "pdf-check-failed"
    assert code_of(put(pool, small_pdf)) == "ok"
    assert worker not in pool.worker_ids()


def test_a_worker_that_died_between_documents_costs_none(pool: PdfPool, small_pdf: bytes) -> None:
    assert code_of(put(pool, small_pdf)) == "ok"
    (worker,) = pool.worker_ids()
    descriptor = os.pidfd_open(worker)
    os.kill(worker, signal.SIGKILL)
    select.select([descriptor], [], [])
    os.close(descriptor)
    assert code_of(put(pool, small_pdf)) == "ok"


def test_a_worker_works_on_while_the_vault_winds_up(pool: PdfPool, small_pdf: bytes) -> None:
    assert code_of(put(pool, small_pdf)) == "ok"
    workers = pool.worker_ids()
    for asked_to_end in (signal.SIGINT, signal.SIGTERM):  # as a terminal or systemd sends to the whole group
        os.kill(workers[0], asked_to_end)
    assert code_of(put(pool, small_pdf)) == "ok"
    assert pool.worker_ids() == workers


def test_a_worker_that_keeps_silent_is_replaced(small_pdf: bytes) -> None:
    pool = PdfPool(timeout_s=0.3)
    assert code_of(put(pool, small_pdf)) == "ok"
    (worker,) = pool.worker_ids()
    os.kill(worker, signal.SIGSTOP)
    assert code_of(put(pool, small_pdf)) == "pdf-check-failed"
    assert code_of(put(pool, small_pdf)) == "ok"
    assert worker not in pool.worker_ids()
    pool.close()


def wide(pdf_of: PdfOf, pages: int) -> bytes:
    """A page tree of very many pages."""
    kids = b" ".join(b"%d 0 R" % number for number in range(3, 3 + pages))
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Resources<<>>>>"
    tree = b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, pages)
    return pdf_of(b"<</Type/Catalog/Pages 2 0 R>>", tree, *[page] * pages)


def test_a_pdf_that_takes_too_long_is_refused(pdf_of: PdfOf, small_pdf: bytes) -> None:
    pool = PdfPool(timeout_s=0.5)
    assert code_of(put(pool, wide(pdf_of, 200_000))) == "pdf-check-failed"
    assert code_of(put(pool, small_pdf)) == "ok"
    pool.close()


def test_a_pdf_that_takes_too_much_memory_is_refused(pdf_of: PdfOf, small_pdf: bytes, deflate_bomb: bytes) -> None:
    pool = PdfPool(memory_mib=256, timeout_s=30)
    assert code_of(put(pool, deflate_bomb)) in {"pdf-check-failed", "pdf-malformed"}
    assert code_of(put(pool, wide(pdf_of, 400_000))) in {"pdf-check-failed", "pdf-malformed"}
    assert code_of(put(pool, small_pdf)) == "ok"
    pool.close()


def test_deep_nesting_is_refused(pool: PdfPool, pdf_of: PdfOf, small_pdf: bytes) -> None:
    nested = b"[" * 300_000 + b"]" * 300_000
    tree = [b"<</Type/Pages/Kids[%d 0 R]/Count 1>>" % number for number in range(3, 20_000)]
    for document in (
        pdf_of(b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids %s/Count 1>>" % nested),
        pdf_of(b"<</Type/Catalog/Pages 2 0 R/Names %s>>" % nested),
        pdf_of(b"<</Type/Catalog/Pages 2 0 R>>", *tree, b"<</Type/Page/MediaBox[0 0 9 9]>>"),
    ):
        assert code_of(put(pool, document)) in {"pdf-malformed", "pdf-no-pages", "pdf-check-failed"}
    assert code_of(put(pool, small_pdf)) == "ok"


def test_workers_are_replaced_in_good_time(small_pdf: bytes) -> None:
    pool, seen = PdfPool(workers=1, recycle_after=3), set()
    for _ in range(7):
        check = put(pool, small_pdf)
        check.begin()
        assert code_of(check) == "ok"
        seen.update(pool.worker_ids())
    assert len(seen) == 3
    pool.close()


def test_a_worker_may_do_little(pool: PdfPool, scan: bytes, scan_of: Callable[[int], bytes]) -> None:
    assert code_of(put(pool, scan)) == code_of(put(pool, scan_of(2 * MIB))) == "ok"
    (worker,) = (Path(f"/proc/{worker}") for worker in pool.worker_ids())
    opened = {str(descriptor.readlink()) for descriptor in (worker / "fd").iterdir()}
    limits = {line[:26].strip(): line[26:].split()[1] for line in (worker / "limits").read_text().splitlines()}
    assert {name.partition(":")[0] for name in opened} == {"/dev/null", "socket", "/memfd"}
    assert limits["Max file size"] == limits["Max core file size"] == limits["Max processes"] == "0"
    assert int(limits["Max address space"]) == 1024 * MIB
    assert int(limits["Max open files"]) == 16
    assert "NoNewPrivs:\t1" in (worker / "status").read_text()
    assert b"PATH=" not in (worker / "environ").read_bytes().replace(b"PYTHONPATH=", b"")


def test_no_file_holds_a_document(
    pool: PdfPool, scan_of: Callable[[int], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    check = put(pool, scan_of(3 * MIB))
    entries = list(Path("/proc/self/fd").iterdir())
    opened = [str(entry.readlink()) for entry in entries if entry.is_symlink()]  # the listing's own is gone
    assert [name for name in opened if name.startswith(str(tmp_path))] == []
    assert any(name.startswith("/memfd:kura-pdf ") for name in opened)
    assert code_of(check) == "ok"
    assert list(tmp_path.iterdir()) == []


def test_a_pool_whose_workers_cannot_start_says_so(small_pdf: bytes) -> None:
    pool = PdfPool(memory_mib=8)
    with pytest.raises(UnavailableError) as unavailable:
        put(pool, small_pdf).finish()
    assert unavailable.value.code == "pdf-pool-unavailable"
    pool.close()


def test_closing_ends_the_workers_and_all_checks(small_pdf: bytes) -> None:
    pool = PdfPool()
    assert code_of(put(pool, small_pdf)) == "ok"
    (worker,) = pool.worker_ids()
    early = put(pool, small_pdf)
    os.kill(worker, signal.SIGSTOP)
    batches = [pool.batch() for _ in range(5)]
    begun = [put_into(batch, small_pdf) for batch in batches]
    for check, batch in zip(begun, batches, strict=True):
        check.begin()
        batch.begin()  # the first by the stopped worker, the second by a fresh one; the others find none idle
    pool.close()
    pool.close()
    assert pool.worker_ids() == []
    assert not Path(f"/proc/{worker}").exists()
    for check in (early, *begun):
        try:
            check.finish()
        except (RefusedError, UnavailableError) as error:
            assert error.code in {"pdf-check-failed", "pdf-pool-unavailable"}  # noqa: PT017  # or "ok" below


def test_a_forgotten_pool_ends_its_workers(small_pdf: bytes) -> None:
    pool = PdfPool()
    assert code_of(put(pool, small_pdf)) == "ok"
    (worker,) = pool.worker_ids()
    del pool
    assert not Path(f"/proc/{worker}").exists()


PARENT = """
import sys
from vault.records.intake.pdf_pool import PdfPool
pool = PdfPool()
check = pool.batch().check()
check.update(bytes.fromhex(sys.argv[1]))
check.finish()
print(*pool.worker_ids(), flush=True)
if sys.argv[2] == "stay":
    sys.stdin.read()
"""


@pytest.mark.parametrize("ending", ["killed", "exit"])
def test_workers_end_with_the_vault(small_pdf: bytes, ending: str) -> None:
    stay = "stay" if ending == "killed" else "go"
    root = str(Path(__file__).parents[4])
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, small_pdf.hex(), stay],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        if ending == "killed":
            parent.kill()
        wait_for_end(worker)
    assert parent.returncode == (-signal.SIGKILL if ending == "killed" else 0)
