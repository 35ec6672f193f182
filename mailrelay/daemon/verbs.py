"""What the command line may ask of the desk, by name; and the same acts without a daemon, under the lock of the data folder."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from mailrelay.config.office import Office
from mailrelay.config.settings import Settings
from mailrelay.inspection.keyring import Keyrings
from mailrelay.intake.control import Verb
from mailrelay.model.agency import Directory
from mailrelay.model.calendar import utc_now
from mailrelay.model.dispatch import Dispatch
from mailrelay.model.faults import NotFound
from mailrelay.model.identity import MailId
from mailrelay.pipeline.hold import Desk
from mailrelay.pipeline.keys import KeyDesk
from mailrelay.reports.keys import key_row
from mailrelay.reports.trace import dispatch_row, entry_row
from mailrelay.store.engine import DataLock, Store, open_store


def verbs(desk: Desk, keys: KeyDesk, forget: Callable[[str], None] = lambda login: None) -> Mapping[str, Verb]:
    """Requests are JSON objects; a missing key is the caller's mistake (KeyError).

    `forget` makes a running door forget what a login has sent.
    """

    async def accept(request: Mapping[str, Any]) -> Any:
        return entry_row(*await desk.accept_entry(int(request["entry"]), request["actor"], request.get("note", "")))

    async def give_back(request: Mapping[str, Any]) -> Any:
        return entry_row(*await desk.return_entry(int(request["entry"]), request["actor"], request["reason"]))

    async def release(request: Mapping[str, Any]) -> Any:
        return _sendings(await desk.release(MailId(request["mail_id"]), request["actor"], request.get("recipient")))

    async def return_held(request: Mapping[str, Any]) -> Any:
        mail_id, recipient = MailId(request["mail_id"]), request.get("recipient")
        return _sendings(await desk.return_held(mail_id, request["actor"], request["reason"], recipient))

    async def retry(request: Mapping[str, Any]) -> Any:
        if "dispatches" in request:
            return {"retried": await desk.retry(tuple(int(i) for i in request["dispatches"]), request["actor"])}
        return {"retried": await desk.retry_waiting(request["actor"], request["destination"])}

    async def import_keys(request: Mapping[str, Any]) -> Any:
        agency, found = await keys.put_in(
            request["agency"],
            base64.b64decode(request["data"], validate=True),
            request["actor"],
            other_addresses=bool(request.get("other_addresses")),
            dry_run=bool(request.get("dry_run")),
        )
        return {"keys": [key_row(agency, key) for key in found], "imported": not request.get("dry_run")}

    async def expire_key(request: Mapping[str, Any]) -> Any:
        agency, found = await keys.give_up(request["agency"], request["fingerprint"], request["actor"])
        return {"keys": [key_row(agency, key) for key in found]}

    async def lift(request: Mapping[str, Any]) -> Any:
        login = await desk.lift_suspension(request["login"], request["actor"])
        forget(login)
        return {"login": login}

    return {
        "keys.import": import_keys,
        "keys.expire": expire_key,
        "register.accept": accept,
        "register.return": give_back,
        "queue.release": release,
        "queue.return": return_held,
        "queue.retry": retry,
        "queue.lift": lift,
    }


async def act_alone(office: Office, verb: str, request: Mapping[str, Any]) -> Any:
    """Do one act without a daemon; the next daemon sends what follows from it. Raises the desk's faults."""
    with DataLock(office.settings.data_dir):
        store = await open_store(office.settings.store.url)
        try:
            desk = Desk(store, lambda: office.directory, utc_now, lambda: None)
            wanted = verbs(desk, key_desk(office.settings, store, lambda: office.directory)).get(verb)
            if wanted is None:
                raise NotFound(f"Không có lệnh {verb}. (There is no verb {verb}.)")
            return await wanted(request)
        finally:
            await store.close()


def key_desk(settings: Settings, store: Store, directory: Callable[[], Directory]) -> KeyDesk:
    """The desk of the agencies' keys, on the keyrings of the settings."""
    return KeyDesk(Keyrings(settings.keyrings_dir), store, directory, utc_now)


def _sendings(sendings: tuple[Dispatch, ...]) -> dict[str, Any]:
    return {"dispatches": [dispatch_row(dispatch) for dispatch in sendings]}
