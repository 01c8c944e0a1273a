"""Sealed parts of events, opened and compared with their commitments; and envelopes that nothing refers to."""

from sqlalchemy import Connection, select

from vault.errors import KuraError
from vault.evidence.verdict import Verdict
from vault.records.event_parts import open_part
from vault.sealing.bucket_secrets import BucketSecrets
from vault.sealing.envelope import Envelope
from vault.storage.tables import EnvelopeRow, EventPartRow, RecordRow

Place = tuple[str, int]  # ledger, index


def check_parts(
    connection: Connection, commitments: dict[Place, bytes], secrets: BucketSecrets | None, verdict: Verdict
) -> None:
    """Compare the stored parts with the commitments that the entries hold; open them where the vault is open."""
    query = select(
        EventPartRow.ledger_id,
        EventPartRow.entry_index,
        EventPartRow.sealed,
        EventPartRow.envelope_id,
        EnvelopeRow.bucket_id,
        EnvelopeRow.sealed.label("envelope"),
    ).join(EnvelopeRow, EnvelopeRow.id == EventPartRow.envelope_id)
    rows = {(row.ledger_id, row.entry_index): row for row in connection.execute(query)}
    buckets = {} if secrets is None else secrets.rows(connection, {row.bucket_id for row in rows.values()})
    for place in sorted(set(rows) | set(commitments)):
        what = f"event_parts/{place[0]}/{place[1]}"
        row, commitment = rows.get(place), commitments.get(place)
        if row is None or commitment is None:
            verdict.differs(what)
            continue
        if secrets is None:
            continue
        try:
            private_key = secrets.opened(buckets[row.bucket_id]).private_key
            open_part(Envelope.open(row.envelope_id, row.bucket_id, row.envelope, private_key), commitment, row.sealed)
        except KuraError as error:
            verdict.found(what, error)
    verdict.counts["event parts"] += len(rows)


def check_envelopes(connection: Connection, verdict: Verdict) -> None:
    """Every envelope belongs to a record or an event part; the others' seals are opened with those."""
    used = select(RecordRow.envelope_id).union(select(EventPartRow.envelope_id))
    for envelope_id in connection.scalars(select(EnvelopeRow.id).where(EnvelopeRow.id.not_in(used))):
        verdict.differs(f"envelopes/{envelope_id}")
