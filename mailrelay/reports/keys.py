"""One OpenPGP key as `keys import|list|expire --json` show it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mailrelay.inspection.keyring import Key
from mailrelay.model.agency import Agency
from mailrelay.model.calendar import VIETNAM


def key_row(agency: Agency, key: Key) -> dict[str, Any]:
    """`listed` tells that the directory names the key for its agency: without that it vouches for nothing."""
    return {
        "agency": agency.agency_id,
        "fingerprint": key.fingerprint,
        "algorithm": key.algorithm,
        "bits": key.bits,
        "created_at": _moment(key.created_at),
        "expires_at": _moment(key.expires_at),
        "user_ids": list(key.user_ids),
        "state": "ended" if key.ended is not None and key.state == "valid" else key.state,
        "ended_at": _moment(key.ended),
        "listed": key.fingerprint in agency.openpgp_keys,
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.astimezone(VIETNAM).isoformat(timespec="seconds") if moment else None
