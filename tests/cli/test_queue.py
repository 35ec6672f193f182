"""`queue` on an office whose queue holds every kind of waiting: why, until when, how old, and trying again."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mailrelay.cli.demo import stage
from mailrelay.config.office import load_office
from mailrelay.model.calendar import utc_now
from mailrelay.model.dispatch import DispatchState, Outcome, Result, Scope
from mailrelay.model.document import Urgency
from mailrelay.store import Transaction, dispatches, messages, open_store
from tests.cli.commands import run
from tests.schemas import problems
from tests.store.samples import dispatch, record

BUSY = Outcome("", Result.DEFERRED, "4.2.1", 450, "busy", "mx.example[192.0.2.7]:25")
DEAD = Outcome("", Result.DEFERRED, "4.4.1", 0, "không kết nối được", scope=Scope.DESTINATION)
NEXT_HOP, BACK = "smtp:mx.example:25", "smtp:mx2.example:25"


@pytest.fixture
def office(tmp_path: Path) -> Path:
    stage.build(tmp_path, 9)
    asyncio.run(_fill(load_office(tmp_path).settings.store.url))
    return tmp_path


async def _fill(url: str) -> None:
    """Dispatches 1 to 8, each of a mail of its own."""
    now = utc_now()
    normal = {"urgency": Urgency.NORMAL, "attempts": 1, "created_at": now - timedelta(minutes=30)}
    later = {
        **normal,
        "state": DispatchState.DEFERRED,
        "next_attempt_at": now + timedelta(hours=1),
        "detail": "450 busy",
    }
    held = {**normal, "state": DispatchState.HELD, "attempts": 0}
    rows: list[tuple[dict[str, Any], Outcome | None]] = [
        ({**later, "destination": NEXT_HOP}, BUSY),
        ({**later, "destination": NEXT_HOP}, DEAD),
        ({**normal, "destination": NEXT_HOP, "next_attempt_at": now}, None),
        ({**held, "destination": NEXT_HOP}, None),
        ({**held, "destination": NEXT_HOP, "attempts": 5, "detail": "việc gửi thư này làm dịch vụ dừng"}, None),
        ({**later, "destination": BACK}, BUSY),
        ({**normal, "destination": BACK, "state": DispatchState.RELAYED}, None),
        ({**normal, "destination": BACK, "state": DispatchState.SENDING, "lease_until": now}, None),
    ]

    def fill(tx: Transaction) -> None:
        for changes, outcome in rows:
            mail = record()
            messages.insert(tx, mail)
            (number,) = dispatches.insert(tx, [dispatch(mail.message.mail_id, "van-thu@bo.example", **changes)])
            if outcome is not None:
                due = changes["next_attempt_at"]
                dispatches.settle(
                    tx, number, DispatchState.DEFERRED, next_attempt_at=due, outcome=outcome, at=now, detail="450 busy"
                )

    store = await open_store(url)
    await store.write(fill)
    await store.close()


def _json(office: Path, *arguments: str, code: int = 0) -> Any:
    done = run(*arguments, "--json", "--config", str(office))
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_every_waiting_is_explained(office: Path) -> None:
    told = {number: _json(office, "queue", "explain", str(number)) for number in range(1, 9)}
    assert [problems("queue-explain", one) for one in told.values()] == [[]] * 8
    assert [one["why"] for one in told.values()] == [
        "backoff", "destination", "due", "held", "poisoned", "backoff", "relayed", "cut-short",
    ]  # fmt: skip
    first = told[1]
    assert (first["last_try"]["status"], first["last_try"]["remote"]) == ("4.2.1", "mx.example[192.0.2.7]:25")
    assert len(first["next_tries"]) == 5
    assert first["created_at"] < first["late_at"] < first["expires_at"]
    assert first["queue"] | {"oldest_at": 0, "next_attempt_at": 0} == {
        "destination": NEXT_HOP, "waiting": 3, "sending": 0, "held": 2, "at_once": 4, "oldest_at": 0, "next_attempt_at": 0,
    }  # fmt: skip
    assert (told[7]["late_at"], told[7]["expires_at"], told[7]["next_tries"]) == (None, None, [])


def test_an_explanation_is_told_to_people(office: Path) -> None:
    done = run("queue", "explain", "1", "--config", str(office))
    assert "Lần thử trước chưa được; thử lại lúc" in done.stdout
    assert "450 4.2.1 busy mx.example[192.0.2.7]:25" in done.stdout
    assert "3 lượt chờ, 0 đang gửi hoặc sắp gửi (mỗi lúc nhiều nhất 4 thư), 2 tạm giữ" in done.stdout
    english = run("queue", "explain", "2", "--config", str(office), lang="en_US.UTF-8").stdout
    assert "The next hop is in trouble and all mail for it waits; next try at 20" in english
    assert run("queue", "explain", "99", "--config", str(office)).returncode == 1


def test_a_poisoned_mail_stands_in_the_list_with_its_reason(office: Path) -> None:
    rows = _json(office, "queue", "list", "--state", "held")["dispatches"]
    assert [(row["id"], row["detail"]) for row in rows][1] == (5, "việc gửi thư này làm dịch vụ dừng")


def test_the_list_of_one_next_hop(office: Path) -> None:
    assert [row["id"] for row in _json(office, "queue", "list", "--destination", BACK)["dispatches"]] == [6, 8]


def test_the_shape_of_the_queue(office: Path) -> None:
    told = _json(office, "queue", "shape")
    assert problems("queue-shape", told) == []
    (one, other) = told["destinations"]
    assert (one["destination"], one["waiting"], one["held"], one["ages"]) == (
        NEXT_HOP, 3, 2, [0, 0, 0, 3, 0, 0, 0, 0, 0, 0],
    )  # fmt: skip
    assert (other["destination"], other["waiting"], other["sending"]) == (BACK, 1, 1)
    assert told["total"] == {"waiting": 4, "sending": 1, "held": 2, "ages": [0, 0, 0, 5, 0, 0, 0, 0, 0, 0]}
    shown = run("queue", "shape", "--config", str(office)).stdout
    assert NEXT_HOP in shown and "TỔNG" in shown


def test_what_waits_for_a_next_hop_is_tried_again_at_once(office: Path) -> None:
    told = _json(office, "queue", "retry", "--destination", NEXT_HOP)
    assert problems("queue-retry", told) == []
    assert told == {"retried": 2}
    assert _json(office, "queue", "explain", "2")["why"] == "due"
    assert _json(office, "queue", "explain", "6")["why"] == "backoff"
    assert _json(office, "queue", "retry", "--all") == {"retried": 1}
    assert _json(office, "queue", "retry", "--all", code=1) == {"retried": 0}


def test_single_dispatches_are_tried_again(office: Path) -> None:
    assert _json(office, "queue", "retry", "1", "4", "6", "7") == {
        "retried": 2
    }  # neither what is held nor what is done


@pytest.mark.parametrize("arguments", [(), ("1", "--all"), ("--all", "--destination", "x")])
def test_what_is_to_be_tried_again_is_said_in_one_way(office: Path, arguments: tuple[str, ...]) -> None:
    done = run("queue", "retry", *arguments, "--config", str(office))
    assert (done.returncode, done.stdout) == (2, "")
