"""What was laid over objects in engines: another version, or a marker that makes an object look deleted.

No data is lost by it, since every object is read by its version; but nobody who may write there does it by chance. A
version with the same bytes is ours: a put whose answer was lost, for the orphan sweep.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from sqlalchemy import Connection, select

from vault.storage.objects import Listed, ObjectStore, is_object_name
from vault.storage.tables import CopyRow, ObjectRow, RecordRow

_PER_QUERY = 500


def find_shadows(
    connection: Connection, vault_id: str, stores: Iterable[tuple[int, ObjectStore]], contract_id: str | None = None
) -> Iterator[tuple[int, str]]:
    """Give (store's place, object's name) of what is shadowed in stores by place, of one contract or of all."""
    for place, store in stores:
        if store.locks:
            listed = (found for found in store.listed() if is_object_name(vault_id, found.address.name))
            yield from ((place, name) for name in _shadowed(connection, place, listed, contract_id))


def _shadowed(connection: Connection, place: int, listed: Iterable[Listed], contract_id: str | None) -> Iterator[str]:
    """Group what is listed by name, which an engine lists together, and compare with the rows."""
    found = iter(listed)
    held: list[Listed] = []
    while page := list(islice(found, _PER_QUERY)):
        page = held + page
        last = page[-1].address.name
        held = [one for one in page if one.address.name == last]  # more of it may follow
        yield from _of_page(connection, place, [one for one in page if one.address.name != last], contract_id)
    yield from _of_page(connection, place, held, contract_id)


def _of_page(connection: Connection, place: int, page: Sequence[Listed], contract_id: str | None) -> Iterator[str]:
    by_name: dict[str, list[Listed]] = {}
    for one in page:
        by_name.setdefault(one.address.name, []).append(one)
    several = {name: all_of for name, all_of in by_name.items() if len(all_of) > 1}
    if not several:
        return
    query = (
        select(CopyRow.object_name, CopyRow.version)
        .join(ObjectRow, ObjectRow.name == CopyRow.object_name)
        .join(RecordRow, RecordRow.id == ObjectRow.record_id)
        .where(CopyRow.store == place, CopyRow.object_name.in_(several))
    )
    if contract_id is not None:
        query = query.where(RecordRow.contract_id == contract_id)
    for name, version in connection.execute(query).all():
        ours = {one.tag for one in several[name] if one.address.version == version}
        if any(one.is_marker or one.tag not in ours for one in several[name]):
            yield name
