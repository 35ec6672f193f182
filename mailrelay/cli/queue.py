"""`queue`: what waits, why, until when, and what an admin can do about it."""

from __future__ import annotations

import getpass
from collections import Counter
from pathlib import Path

from mailrelay.cli import life
from mailrelay.cli.office import act, load, read
from mailrelay.cli.output import fail, harmless, moment, print_json, print_line, print_table, say
from mailrelay.model.dispatch import Dispatch, DispatchState
from mailrelay.receipts import words
from mailrelay.reports.trace import dispatch_row
from mailrelay.store import dispatches

_OPEN = tuple(state for state in DispatchState if not state.is_final)


def queue_list(config: Path | None, states: list[str] | None, after: int, limit: int, *, as_json: bool) -> int:
    office = load(config)
    wanted = _states(states)

    rows, counts = read(
        office.settings,
        lambda tx: (dispatches.listing(tx, states=wanted, after_id=after, limit=limit), dispatches.counts(tx)),
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
                life.dispatch_word(DispatchState(row["state"])),
                str(row["attempts"]),
                "" if row["next_attempt_at"] is None else moment(dispatch.next_attempt_at),
                row["detail"],
            )
            for row, dispatch in zip(shown, rows, strict=True)
        ],
    )
    by_word: Counter[str] = Counter()
    for state, number in counts.items():
        by_word[life.dispatch_word(state)] += number
    print_line("   ".join(f"{word}: {number}" for word, number in by_word.items() if number), "dim")
    return 0


def queue_show(config: Path | None, dispatch_id: int, *, as_json: bool) -> int:
    office = load(config)
    dispatch, attempts = read(
        office.settings, lambda tx: (dispatches.get(tx, dispatch_id), dispatches.attempts(tx, dispatch_id))
    )
    if dispatch is None:
        fail(say(f"Không có lượt gửi số {dispatch_id}.", f"There is no dispatch {dispatch_id}."))
    tries = [
        {
            "at": at.isoformat(),
            "result": outcome.result.value,
            "status": outcome.status,
            "code": outcome.code,
            "text": outcome.text,
            "remote": outcome.remote,
            "tls": outcome.tls,
            "uncertain": outcome.uncertain,
        }
        for at, outcome in attempts
    ]
    if as_json:
        print_json({**dispatch_row(dispatch), "tries": tries})
        return 0
    _told(dispatch)
    rows = [
        (moment(at), life.dispatch_word(DispatchState(o.result.value)), o.status, o.remote, o.text)
        for at, o in attempts
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
        life.dispatch_word(dispatch.state),
        str(dispatch.attempts),
        moment(dispatch.next_attempt_at) if waits else "",
        life.spoken(words.URGENCIES[dispatch.urgency]),
        dispatch.detail,
    )
    for name, value in zip(names, values, strict=True):
        if value:
            print_line(f"{name:12} {harmless(value)}")


def queue_retry(config: Path | None, dispatch_ids: list[int], *, as_json: bool) -> int:
    office = load(config)
    result = act(office, "queue.retry", {"dispatches": dispatch_ids, "actor": getpass.getuser()})
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
    result = act(office, verb, {**request, "actor": getpass.getuser()})
    if as_json:
        print_json(result)
        return 0
    for row in result["dispatches"]:
        print_line(f"{row['recipient']}: {life.dispatch_word(DispatchState(row['state']))}")
    return 0


def _states(names: list[str] | None) -> tuple[DispatchState, ...]:
    if not names:
        return _OPEN
    try:
        return tuple(DispatchState(name) for name in names)
    except ValueError:
        known = ", ".join(state.value for state in DispatchState)
        fail(say(f"Các trạng thái: {known}", f"Known states: {known}"), 2)
