"""Our own deliveries, met again in a box that we poll: known by their content, never by the mark alone.

Whoever has seen a mail of ours can copy its mark onto another one. So a mark only says which mail to compare with: what was
found is ours when that mail was sent to this address and its Message-ID and body are the same.
"""

from __future__ import annotations

from collections.abc import Collection

from mailrelay.model.identity import MailId
from mailrelay.model.record import veiled
from mailrelay.pipeline.trace_fields import made_message_id
from mailrelay.store import dispatches, messages
from mailrelay.store.transaction import Transaction


def is_our_delivery(
    tx: Transaction, mail_id: MailId, address: str, *, message_id: str, body_digests: Collection[str], domain: str
) -> bool:
    """Whether the mail `mail_id` went to `address` and is the one that was found.

    `message_id` with angle brackets, as found, "" when there is none; `body_digests` are SHA-256 (hex) of the bytes after the
    header, as found and without a line end that a server may have added. Fields that other servers put into the header do not
    matter, a Message-ID where the mail had none among them. `domain` is ours.
    """
    record = messages.get(tx, mail_id)
    if record is None or not record.rendering.body_sha256 or record.rendering.body_sha256 not in body_digests:
        return False
    made = made_message_id(record.message, domain)
    if record.message_id not in (message_id, veiled(message_id), made, veiled(made)):
        return False
    sendings = dispatches.of_mail(tx, mail_id)
    return any(sending.recipient.address.lower() == address.lower() for sending in sendings)
