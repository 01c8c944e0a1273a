"""The table of host verbs, and how one is performed: the same in the CLI's own process and behind the socket."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from vault.cli.host import care, founding, keys, showing, stations, taking
from vault.cli.host.call import Call, Fields, Item, Request, Tell
from vault.errors import RefusedError
from vault.records.vault import Vault

Verb = Callable[[Call], dict[str, Any]]

VERBS: Final[Mapping[str, Verb]] = MappingProxyType(
    {
        "contract-open": founding.open_contract,
        "person-add": founding.add_person,
        "station-enrol": stations.enrol,
        "station-renew": stations.renew,
        "station-revoke": stations.revoke,
        "station-list": stations.enrolled,
        "unseal": keys.unseal,
        "seal": keys.seal,
        "deposit": taking.deposit,
        "find": showing.find,
        "open": showing.show,
        "state": care.state,
        "scrub": care.check_fixity,
        "backup": care.back_up,
        "recover": care.recover,
    }
)


def perform(vault: Vault, request: Request, user_id: int, items: Iterator[Item], tell: Tell) -> dict[str, Any]:
    """Perform a verb for whoever named themselves, as that user of the operating system; give plain values.

    Raises:
        RefusedError: no such verb, nobody of that number, or the verb refuses.
        KuraError: what the verb raises.
    """
    verb = VERBS.get(request.verb)
    if verb is None:
        raise RefusedError("verb-unknown")
    actor = vault.actor(request.person, user_id) if request.person is not None else None
    return verb(Call(vault, actor, user_id, Fields(request.arguments), items, tell))
