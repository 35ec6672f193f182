"""Which OpenPGP keyrings may vouch for the author of a mail. Pure but for looking which folders exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mailrelay.inspection.keyring import ended_keys
from mailrelay.model.agency import Agency, Directory
from mailrelay.model.message import Content

_MOST = 40  # other agencies' keyrings that are tried


def author_of(content: Content) -> str:
    """Return the author's address, or "" unless there is exactly one."""
    return content.senders[0].address if len(content.senders) == 1 else ""


def keyrings(home: Path | None, directory: Directory, content: Content) -> dict[str, Any]:
    """Return {"own": keyring or None, "others": [keyring, …]} as JSON; a keyring is {agency, home, fingerprints, ended}."""
    if home is None:
        return {"own": None, "others": []}
    own = directory.agency_of(author_of(content))
    others = (agency for agency in directory.agencies if agency is not own and agency.openpgp_keys)
    described = [_keyring(home, agency) for agency in others]
    return {
        "own": _keyring(home, own) if own is not None else None,
        "others": [ring for ring in described if Path(ring["home"]).is_dir()][:_MOST],
    }


def _keyring(home: Path, agency: Agency) -> dict[str, Any]:
    own = home / agency.agency_id
    listed = list(agency.openpgp_keys)
    return {"agency": agency.agency_id, "home": str(own), "fingerprints": listed, "ended": ended_keys(own)}
