"""`queue suspended` and `queue lift`: logins that sent too much to the outside, and letting them send again."""

from __future__ import annotations

from pathlib import Path

from mailrelay.cli.office import act, load, read
from mailrelay.cli.output import moment, print_json, print_line, print_table, say
from mailrelay.model.calendar import utc_now
from mailrelay.store import quotas


def queue_suspended(config: Path | None, *, as_json: bool) -> int:
    office = load(config)
    found = read(office.settings, lambda tx: quotas.suspended(tx, utc_now()))
    if as_json:
        print_json({"suspended": [{"login": login, "until": until.isoformat()} for login, until in found]})
        return 0
    rows = [(login, moment(until)) for login, until in found]
    print_table(
        say("Tài khoản tạm ngừng gửi", "Suspended logins"), say("Tài khoản|Đến", "Login|Until").split("|"), rows
    )
    return 0


def queue_lift(config: Path | None, login: str, *, as_json: bool) -> int:
    office = load(config)
    result = act(office, "queue.lift", {"login": login})
    if as_json:
        print_json(result)
    else:
        name = result["login"]
        print_line(say(f"Tài khoản {name} được gửi lại.", f"Login {name} may send again."))
    return 0
