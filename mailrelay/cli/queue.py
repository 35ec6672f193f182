"""`queue`: what waits, why, until when, and what an admin can do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from mailrelay.cli.office import act, load, read
from mailrelay.cli.output import fail, moment, print_json, print_line, print_table, say
from mailrelay.cli.words import dispatch_word, spoken
from mailrelay.config.office import Office
from mailrelay.model.calendar import utc_now
from mailrelay.model.dispatch import Dispatch, DispatchState
from mailrelay.pipeline.entry import NO_ROUTE, destination_of
from mailrelay.receipts import words
from mailrelay.reports.queue import explanation, shape, try_row
from mailrelay.reports.trace import dispatch_row
from mailrelay.store import dispatches

_OPEN = tuple(state for state in DispatchState if not state.is_final)


def queue_list(
    config: Path | None, states: list[str] | None, destination: str | None, after: int, limit: int, *, as_json: bool
) -> int:
    office = load(config)
    wanted = _states(states)
    to = None if destination is None else _destination(office, destination)

    rows, counts = read(
        office.settings,
        lambda tx: (
            dispatches.listing(tx, states=wanted, destination=to, after_id=after, limit=limit),
            dispatches.counts(tx),
        ),
    )
    shown = [dispatch_row(row) for row in rows]
    if as_json:
        following = shown[-1]["id"] if len(shown) == limit else None
        told = {state.value: number for state, number in counts.items()}
        print_json({"dispatches": shown, "counts": told, "next": following})
        return 0
    columns = say(
        "Số|Mã thư|Người nhận|Tình trạng|Lần|Gửi lại|Chi tiết", "Id|Mail id|To|State|Tries|Next|Detail"
    ).split("|")
    print_table(
        say("Hàng đợi", "Queue"),
        columns,
        [
            (
                str(row["id"]),
                row["mail_id"],
                row["recipient"],
                dispatch_word(DispatchState(row["state"])),
                str(row["attempts"]),
                "" if row["next_attempt_at"] is None else moment(dispatch.next_attempt_at),
                row["detail"],
            )
            for row, dispatch in zip(shown, rows, strict=True)
        ],
    )
    by_word: Counter[str] = Counter()
    for state, number in counts.items():
        by_word[dispatch_word(state)] += number
    print_line("   ".join(f"{word}: {number}" for word, number in by_word.items() if number), "dim")
    return 0


def queue_show(config: Path | None, dispatch_id: int, *, as_json: bool) -> int:
    office = load(config)
    dispatch, attempts = read(
        office.settings, lambda tx: (dispatches.get(tx, dispatch_id), dispatches.attempts(tx, dispatch_id))
    )
    if dispatch is None:
        fail(say(f"Không có lượt gửi số {dispatch_id}.", f"There is no dispatch {dispatch_id}."))
    if as_json:
        print_json({**dispatch_row(dispatch), "tries": [try_row(*one) for one in attempts]})
        return 0
    _told(dispatch)
    rows = [
        (moment(at), dispatch_word(DispatchState(o.result.value)), o.status, o.remote, o.text) for at, o in attempts
    ]
    print_table(
        say("Các lần thử", "Tries"), say("Lúc|Kết quả|Mã|Máy|Trả lời", "At|Result|Status|Host|Reply").split("|"), rows
    )
    return 0


def _told(dispatch: Dispatch) -> None:
    """One dispatch, a line for each thing that is known of it."""
    waits = not dispatch.state.is_final and dispatch.state is not DispatchState.HELD
    names = say(
        "Lượt gửi|Mã thư|Người nhận|Chặng tới|Tình trạng|Số lần thử|Gửi lại|Độ khẩn|Chi tiết",
        "Dispatch|Mail id|To|Next hop|State|Tries|Next try|Urgency|Detail",
    ).split("|")
    values = (
        str(dispatch.dispatch_id),
        dispatch.mail_id,
        dispatch.recipient.address,
        dispatch.destination,
        dispatch_word(dispatch.state),
        str(dispatch.attempts),
        moment(dispatch.next_attempt_at) if waits else "",
        spoken(words.URGENCIES[dispatch.urgency]),
        dispatch.detail,
    )
    for name, value in zip(names, values, strict=True):
        if value:
            print_line(f"{name:12} {value}")


def queue_explain(config: Path | None, dispatch_id: int, *, as_json: bool) -> int:
    """Why a dispatch waits, until when, and what its next hop is like."""
    office = load(config)
    chosen, now = office.settings.delivery, utc_now()
    found, dispatch = read(
        office.settings, lambda tx: (explanation(tx, dispatch_id, chosen, now), dispatches.get(tx, dispatch_id))
    )
    if found is None or dispatch is None:
        fail(say(f"Không có lượt gửi số {dispatch_id}.", f"There is no dispatch {dispatch_id}."))
    if as_json:
        print_json(found)
        return 0
    print_line(say(found["reason"]["vi"], found["reason"]["en"]), "bold")
    _told(dispatch)
    for name, value in _circumstances(found):
        print_line(f"{name:12} {value}")
    return 0


def _circumstances(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What decides about a waiting dispatch, as lines for people."""
    last, queue = found["last_try"], found["queue"]
    if last:
        said = (moment(datetime.fromisoformat(last["at"])), str(last["code"] or ""), last["status"], last["text"])
        yield say("Lần thử cuối", "Last try"), " ".join(word for word in (*said, last["remote"]) if word)
    if found["next_tries"]:
        moments = ", ".join(moment(datetime.fromisoformat(at)) for at in found["next_tries"])
        yield say("Sẽ thử lúc", "To be tried"), moments
    if found["expires_at"]:
        yield say("Báo chậm lúc", "Told late"), moment(datetime.fromisoformat(found["late_at"]))
        yield say("Thôi thử lúc", "Given up"), moment(datetime.fromisoformat(found["expires_at"]))
    waiting, sending, at_once = queue["waiting"], queue["sending"], queue["at_once"]
    yield (
        say("Cùng chặng", "Next hop"),
        say(
            f"{waiting} lượt chờ, {sending} đang gửi hoặc sắp gửi (mỗi lúc nhiều nhất {at_once} thư), {queue['held']} tạm giữ",
            f"{waiting} waiting, {sending} being sent or about to be (at most {at_once} mails at once), {queue['held']} held",
        ),
    )


def queue_shape(config: Path | None, *, as_json: bool) -> int:
    """The age of what waits by next hop, as qshape(1) of Postfix shows it."""
    office = load(config)
    found = read(office.settings, lambda tx: shape(tx, utc_now()))
    if as_json:
        print_json(found)
        return 0
    *younger, last = (str(bound) for bound in found["minutes"])
    columns = [
        *say("Chặng tới|Tổng", "Next hop|Total").split("|"),
        *younger,
        last,
        f"{last}+",
        *say("Tạm giữ|Gửi lại", "Held|Next try").split("|"),
    ]
    rows = [_shape_row(row["destination"], row, row["next_attempt_at"]) for row in found["destinations"]]
    if rows:
        rows.append(_shape_row(say("TỔNG", "TOTAL"), found["total"], None))
    print_table(say("Tuổi của hàng đợi (phút)", "Age of the queue (minutes)"), columns, rows)
    return 0


def _shape_row(name: str, row: dict[str, Any], due: str | None) -> tuple[str, ...]:
    counts = (str(count) if count else "" for count in row["ages"])
    at = moment(datetime.fromisoformat(due)) if due else ""
    return (name, str(row["waiting"] + row["sending"]), *counts, str(row["held"] or ""), at)


def queue_retry(
    config: Path | None, dispatch_ids: list[int], destination: str | None, everything: bool, *, as_json: bool
) -> int:
    office = load(config)
    if [bool(dispatch_ids), destination is not None, everything].count(True) != 1:
        fail(
            say(
                "Nêu một trong ba: các số lượt gửi, --destination, hoặc --all.",
                "Give one of these: dispatch ids, --destination, or --all.",
            ),
            2,
        )
    request: dict[str, Any] = {}
    if dispatch_ids:
        request["dispatches"] = dispatch_ids
    else:
        request["destination"] = None if destination is None else _destination(office, destination)
    result = act(office, "queue.retry", request)
    if as_json:
        print_json(result)
    else:
        print_line(
            say(f"Gửi lại ngay {result['retried']} lượt.", f"{result['retried']} dispatches are tried again now.")
        )
    return 0 if result["retried"] else 1


def queue_release(config: Path | None, mail_id: str, recipient: str | None, *, as_json: bool) -> int:
    return _decide(config, "queue.release", {"mail_id": mail_id.upper(), "recipient": recipient}, as_json=as_json)


def queue_return(config: Path | None, mail_id: str, recipient: str | None, reason: str, *, as_json: bool) -> int:
    request = {"mail_id": mail_id.upper(), "recipient": recipient, "reason": reason}
    return _decide(config, "queue.return", request, as_json=as_json)


def _decide(config: Path | None, verb: str, request: dict[str, str | None], *, as_json: bool) -> int:
    office = load(config)
    result = act(office, verb, request)
    if as_json:
        print_json(result)
        return 0
    for row in result["dispatches"]:
        print_line(f"{row['recipient']}: {dispatch_word(DispatchState(row['state']))}")
    return 0


def _destination(office: Office, named: str) -> str:
    """The name of a next hop, however it is given: as `queue list` shows it, as an address or as a domain."""
    found = destination_of(named if "@" in named else f"x@{named}", office)
    return named if found == NO_ROUTE else found


def _states(names: list[str] | None) -> tuple[DispatchState, ...]:
    if not names:
        return _OPEN
    try:
        return tuple(DispatchState(name) for name in names)
    except ValueError:
        known = ", ".join(state.value for state in DispatchState)
        fail(say(f"Các trạng thái: {known}", f"Known states: {known}"), 2)
