"""Every command's --json obeys its schema in docs/schemas, on an office that has lived through the demo's scenario."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.cli.commands import run
from tests.schemas import problems


def _json(demo: Any, *arguments: str) -> Any:
    done = run(*arguments, "--json", "--config", demo["config"])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_demo(demo: Any) -> None:
    assert problems("demo", demo) == []
    assert [mail["state"] for mail in demo["mails"]].count("rejected") == 1
    assert {name: demo["counts"][name] for name in ("sent", "accepted", "returned", "rejected", "lost")} == {
        "sent": 9,
        "accepted": 8,
        "returned": 1,
        "rejected": 1,
        "lost": 0,
    }


def test_the_ministrys_letter_is_proved_by_dkim_and_the_plan_by_two_signatures(demo: Any) -> None:
    def findings(mail: Any) -> set[tuple[str, str, str]]:
        return {(f["check"], f["verdict"], f["detail"]) for f in mail["findings"]}

    ministry = next(mail for mail in demo["mails"] if mail["envelope"]["from"].endswith("@mic.example"))
    assert {("dkim", "pass", "good"), ("dmarc", "pass", "aligned")} <= findings(ministry)
    assert ministry["document"]["code"] == {"number": "1777", "notation": "BTTTT-ƯDCNTT"}
    assert ("pdf", "pass", "both") in findings(demo["mails"][0])


def test_trace_by_id_message_id_and_digest(demo: Any) -> None:
    for mail in demo["mails"]:
        assert problems("trace", mail) == []
    plan = demo["mails"][0]
    by_id = _json(demo, "trace", plan["mail_id"])
    assert problems("trace", by_id) == []
    assert by_id["mail_id"] == plan["mail_id"]
    assert _json(demo, "trace", "--message-id", plan["message_id"])["mail_id"] == plan["mail_id"]
    assert _json(demo, "trace", "--sha256", plan["sha256"])["mail_id"] == plan["mail_id"]


def test_a_letter_is_found_by_its_message_id_though_the_log_keeps_a_digest(demo: Any, tmp_path: Path) -> None:
    letter = next(mail for mail in demo["mails"] if mail["class"] == "letter")
    data = Path(demo["config"]) / "data" / "maildir"
    kept = letter["message_id"].removeprefix("sha256:")
    ids = (
        line.split(b":", 1)[1].strip()
        for path in data.rglob("new/*")
        for line in path.read_bytes().splitlines()
        if line.lower().startswith(b"message-id:")
    )
    clear = next(value for value in ids if hashlib.sha256(value).hexdigest() == kept)
    assert _json(demo, "trace", "--message-id", clear.decode())["mail_id"] == letter["mail_id"]


def test_trace_of_nothing_is_exit_1_and_of_nonsense_exit_2(demo: Any) -> None:
    assert run("trace", "0" * 26, "--config", demo["config"]).returncode == 1
    assert run("trace", "xyz", "--config", demo["config"]).returncode == 2
    assert run("trace", "--config", demo["config"]).returncode == 2


def test_explain(demo: Any, tmp_path: Path) -> None:
    file = tmp_path / "thu.eml"
    file.write_bytes(
        b"From: <sotc@hoabinh.gov.vn>\r\nTo: <sokhdt@hoabinh.gov.vn>\r\nSubject: 7/BC-STC V/v thu\r\n\r\nx\r\n"
    )
    told = _json(
        demo, "explain", str(file), "--from", "sotc@hoabinh.gov.vn", "--to", "sokhdt@hoabinh.gov.vn", "--login", "sotc"
    )
    assert problems("trace", told) == []
    assert (told["document"]["code"], told["decision"]["action"]) == ({"number": "7", "notation": "BC-STC"}, "relay")


def test_check(demo: Any, tmp_path: Path) -> None:
    assert problems("check", _json(demo, "check")) == []
    broken = run("check", "--json", "--config", str(tmp_path))
    assert broken.returncode == 1
    told = json.loads(broken.stdout)
    assert problems("check", told) == []
    assert told["problems"]


def test_log(demo: Any) -> None:
    page = _json(demo, "log", "list", "--limit", "5")
    assert problems("log-search", page) == []
    following = _json(demo, "log", "search", "--before", str(page["next"]), "--limit", "5")
    assert {row["id"] for row in page["events"]}.isdisjoint(row["id"] for row in following["events"])
    assert problems("log-event", _json(demo, "log", "show", str(page["events"][0]["id"]))) == []


def test_register(demo: Any) -> None:
    incoming = _json(demo, "register", "list", "--agency", "STC", "--book", "den")
    assert problems("register-list", incoming) == []
    plan = next(row for row in incoming["entries"] if row["code"]["notation"] == "KH-UBND")
    assert (plan["seq"], plan["status"]) == (1, "03")
    waiting = next(
        row
        for row in _json(demo, "register", "list", "--agency", "SNV", "--book", "den")["entries"]
        if row["status"] == "01"
    )
    assert waiting["seq"] is None
    accepted = _json(demo, "register", "accept", str(waiting["id"]), "--note", "bản in")
    assert problems("register-entry", accepted) == []
    assert (accepted["seq"], accepted["status"]) == (1, "03")
    again = run("register", "return", str(waiting["id"]), "--reason", "muộn", "--config", demo["config"])
    assert again.returncode == 1
    assert problems("register-entry", _json(demo, "register", "show", str(waiting["id"]))) == []


def test_queue(demo: Any) -> None:
    assert problems("queue-list", _json(demo, "queue", "list")) == []
    everything = _json(demo, "queue", "list", "--state", "delivered", "--limit", "3")
    assert problems("queue-list", everything) == []
    assert problems("queue-show", _json(demo, "queue", "show", str(everything["dispatches"][0]["id"]))) == []


def test_policy_test(demo: Any) -> None:
    told = _json(demo, "policy", "test")
    assert problems("policy-test", told) == []
    assert (told["ok"], told["failed"]) == (True, 0)


def test_policy_test_of_a_book_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "10-a.yaml").write_text("rules:\n  - id: lost\n    then: discard\n")
    done = run("policy", "test", "--json", "--config", str(tmp_path))
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert problems("policy-test", told) == []
    assert ("policies/10-a.yaml", 3) in {(problem["file"], problem["line"]) for problem in told["problems"]}
