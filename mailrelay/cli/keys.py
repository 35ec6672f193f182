"""`keys`: the OpenPGP keys of the agencies: put in after a look at them, listed, given up."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mailrelay.cli.office import act, find_agency, load
from mailrelay.cli.output import fail, print_json, print_line, print_table, say
from mailrelay.inspection.keyring import LONGEST_FILE, Keyrings
from mailrelay.model.faults import Fault
from mailrelay.reports.keys import key_row

_STATES = {
    "valid": ("dùng được", "valid"),
    "expired": ("hết hạn", "expired"),
    "revoked": ("bị thu hồi", "revoked"),
    "ended": ("thôi dùng", "given up"),
}


def keys_import(
    config: Path | None, file: Path, agency: str, *, other_addresses: bool, dry_run: bool, as_json: bool
) -> int:
    """Exit 0 when the keys are in (or would be, with --dry-run), 1 with every reason against them."""
    office = load(config)
    whose = find_agency(office.directory, agency)
    try:
        with file.open("rb") as opened:
            data = opened.read(LONGEST_FILE + 1)
    except OSError as error:
        fail(say(f"Không đọc được {file}: {error.strerror}", f"cannot read {file}: {error.strerror}"))
    arguments = {
        "agency": whose.agency_id,
        "data": base64.b64encode(data).decode("ascii"),
        "other_addresses": other_addresses,
        "dry_run": dry_run,
    }
    told = act(office, "keys.import", arguments)
    if as_json:
        print_json(told)
        return 0
    _table(whose.name, told["keys"])
    if dry_run:
        print_line(say("Chỉ xem: chưa nhập gì.", "Looked at only: nothing was imported."), "yellow")
        return 0
    print_line(say("Đã nhập.", "Imported."), "green")
    _tell_unlisted(told["keys"])
    return 0


def keys_list(config: Path | None, agency: str | None, *, as_json: bool) -> int:
    office = load(config)
    keyrings = Keyrings(office.settings.keyrings_dir)
    wanted = [find_agency(office.directory, agency)] if agency is not None else list(office.directory.agencies)
    try:
        rows = [key_row(whose, key) for whose in wanted for key in keyrings.keys(whose.agency_id)]
    except Fault as fault:
        fail(fault.diagnostics())
    if as_json:
        print_json({"keys": rows})
        return 0
    _table(say("Khóa OpenPGP", "OpenPGP keys"), rows)
    _tell_unlisted(rows)
    return 0


def keys_expire(config: Path | None, fingerprint: str, agency: str, *, as_json: bool) -> int:
    """Exit 0 when the key vouches for nothing new from now on."""
    office = load(config)
    whose = find_agency(office.directory, agency)
    arguments = {"agency": whose.agency_id, "fingerprint": fingerprint}
    told = act(office, "keys.expire", arguments)
    if as_json:
        print_json(told)
        return 0
    _table(whose.name, told["keys"])
    print_line(say("Từ nay khóa này thôi dùng.", "From now on this key vouches for nothing new."), "yellow")
    return 0


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = say(
        "Cơ quan|Vân tay|Thuật toán|Hết hạn|Tên|Tình trạng|Trong danh bạ",
        "Agency|Fingerprint|Algorithm|Expires|User ids|State|Listed",
    ).split("|")
    print_table(
        title,
        columns,
        [
            (
                row["agency"],
                row["fingerprint"],
                f"{row['algorithm']} {row['bits']}",
                row["expires_at"] or say("không", "never"),
                "; ".join(row["user_ids"]),
                say(*_STATES[row["state"]]),
                say("có", "yes") if row["listed"] else say("chưa", "no"),
            )
            for row in rows
        ],
    )


def _tell_unlisted(rows: Sequence[Mapping[str, Any]]) -> None:
    """A key counts only when mailboxes.yaml names it: that line is the decision to trust it."""
    for row in rows:
        if not row["listed"] and row["state"] == "valid":
            name, finger = row["agency"], row["fingerprint"]
            print_line(
                say(
                    f"Khóa chỉ có giá trị khi mailboxes.yaml ghi openpgp_keys: [{finger}] cho cơ quan {name}.",
                    f"The key counts once mailboxes.yaml has openpgp_keys: [{finger}] for agency {name}.",
                ),
                "yellow",
            )
