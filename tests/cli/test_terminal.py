"""What people see at a terminal and through a pipe: their language, whole lines, plain answers to nonsense."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mailrelay.cli.office import load, read
from mailrelay.cli.output import print_line, print_table
from mailrelay.model.calendar import VIETNAM
from tests.cli.commands import COMMAND, run

_TOO_GREAT = "9" * 30


def _told(demo: Any, *arguments: str, lang: str = "vi_VN.UTF-8", **environment: str) -> str:
    done = run(*arguments, "--config", demo["config"], lang=lang, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_users_language(demo: Any) -> None:
    plan = demo["mails"][0]["mail_id"]
    vietnamese, english = _told(demo, "trace", plan), _told(demo, "trace", plan, lang="en_US.UTF-8")
    assert "văn bản vào sổ" in vietnamese
    assert "Xác nhận đã gửi" in vietnamese
    assert "registered document" in english
    assert "Confirmation of sending" in english
    assert "KH 59/KH-UBND of " in english
    assert " ngày " not in english[english.index("History") :]


def test_particulars_of_the_log_are_told_in_words(demo: Any) -> None:
    listed = _told(demo, "log", "list", "--limit", "500")
    assert "cổng: submission; loại: văn bản vào sổ; việc: chuyển; số nơi nhận: 33" in listed
    assert "mục: 34; sổ: đến; năm: 2026" in listed.replace(f"năm: {datetime.now(VIETNAM).year}", "năm: 2026")
    events = json.loads(_told(demo, "log", "list", "--limit", "500", "--json"))["events"]
    keys = {key for event in events for key in event["detail"]}
    assert "rulebook" in keys
    received = next(event["id"] for event in events if event["kind"] == "received")
    shown = _told(demo, "log", "show", str(received))
    assert "bộ quy tắc (SHA-256): " in shown
    for key in keys - {"tls"}:
        assert f"{key}: " not in listed + shown, f"{key} is a field's name, no word of the reader's"


def test_through_a_pipe_every_row_is_one_line_with_its_whole_mail_id(demo: Any) -> None:
    plan = demo["mails"][0]["mail_id"]
    rows = [line for line in _told(demo, "log", "list", "--limit", "200").splitlines() if "đã vào hộp thư" in line]
    assert len([row for row in rows if plan in row]) == len(demo["mails"][0]["dispatches"])


def test_on_a_narrow_terminal_a_mail_id_can_still_be_copied(demo: Any) -> None:
    plan = demo["mails"][0]["mail_id"]
    assert plan in _told(demo, "log", "search", "--kind", "received", "--limit", "50", COLUMNS="80")


@pytest.mark.parametrize("text", ["kế hoạch 59", "KE HOACH", "59/kh-ubnd", "vpubnd@hoabinh.gov.vn kế hoạch"])
def test_the_log_is_searched_by_what_a_document_is_about(demo: Any, text: str) -> None:
    assert demo["mails"][0]["mail_id"] in _told(demo, "log", "search", text)


@pytest.mark.parametrize("text", ["Trưa nay ăn gì", "một việc không gửi qua mạng", "03/BC-STC"])
def test_letters_and_secrets_are_not_in_the_log_at_all(demo: Any, text: str) -> None:
    assert "không có gì" in _told(demo, "log", "search", text)


def test_an_agency_may_be_named_by_its_symbol(demo: Any) -> None:
    assert _told(demo, "log", "search", "--agency", "STC") == _told(demo, "log", "search", "--agency", "sotc")
    unknown = run("log", "search", "--agency", "nope", "--config", demo["config"])
    assert (unknown.returncode, unknown.stdout) == (2, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("register", "show", _TOO_GREAT),
        ("register", "accept", _TOO_GREAT),
        ("register", "list", "--agency", "STC", "--after", _TOO_GREAT),
        ("register", "list", "--agency", "STC", "--year", _TOO_GREAT),
        ("queue", "show", _TOO_GREAT),
        ("queue", "retry", _TOO_GREAT),
        ("log", "show", _TOO_GREAT),
        ("log", "list", "--before", _TOO_GREAT),
    ],
)
def test_a_number_that_no_row_can_bear_is_a_mistake_of_the_caller(demo: Any, arguments: tuple[str, ...]) -> None:
    done = run(*arguments, "--config", demo["config"])
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)


def test_log_lines_never_mix_with_results(demo: Any, tmp_path: Path) -> None:
    shutil.copytree(demo["config"], tmp_path, ignore=shutil.ignore_patterns("data"), dirs_exist_ok=True)
    done = run("register", "accept", "1", "--json", "--config", str(tmp_path))  # without a daemon: makes the store
    assert (done.returncode, done.stdout) == (1, "")
    assert (tmp_path / "data" / "mailrelay.db").exists()


def test_each_problem_of_a_configuration_stands_on_its_line(tmp_path: Path) -> None:
    done = run("queue", "list", "--config", str(tmp_path))
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["mailboxes.yaml", "mailrelay.toml", "policies"]


def test_one_dispatch_is_told_in_words(demo: Any) -> None:
    told = _told(demo, "queue", "show", "1")
    assert "đã chuyển đến hộp thư" in told
    assert "None" not in told


def test_a_paper_that_was_given_back_waits_for_no_number(demo: Any) -> None:
    rows = [line for line in _told(demo, "trace", demo["mails"][0]["mail_id"]).splitlines() if "Trả lại" in line]
    assert rows and not any("chờ vào sổ" in row for row in rows)


def test_who_may_not_read_the_store_is_told_so(
    demo: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    office = load(Path(demo["config"]))

    def forbidden(*_: Any, **__: Any) -> Any:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "mailrelay.db")

    monkeypatch.setattr(Path, "is_file", forbidden)
    monkeypatch.setattr(Path, "exists", forbidden)
    with pytest.raises(SystemExit) as ended:
        read(office.settings, lambda tx: None)
    assert ended.value.code == 1
    assert "tài khoản của dịch vụ hoặc root" in capsys.readouterr().err


@pytest.mark.parametrize("letter", ["\x1b", "\x07", "\x9b", "\u202e", "\u2066"])
def test_no_text_from_outside_commands_the_terminal(letter: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_line(f"Trích yếu {letter}[31mx")
    print_table(f"Sổ {letter}", [f"Cột {letter}"], [[f"ô {letter}"]])
    print_table(f"Sổ {letter}", ["Cột"], [])
    assert letter not in capsys.readouterr().out


def test_a_mail_that_no_door_would_take_is_not_explained(demo: Any, tmp_path: Path) -> None:
    with (tmp_path / "big.eml").open("wb") as file:
        file.truncate(51 * 1024 * 1024)
    done = run(
        "explain",
        str(tmp_path / "big.eml"),
        "--from",
        "a@b.vn",
        "--to",
        "sotc@hoabinh.gov.vn",
        "--config",
        demo["config"],
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "lớn hơn" in done.stderr and "50 MiB" in done.stderr


def test_an_output_that_takes_nothing_more_is_told_in_words(demo: Any) -> None:
    for arguments in (("check",), ("check", "--json"), ("log", "list")):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [*COMMAND, *arguments, "--config", demo["config"]],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)
        assert "No space left" in done.stderr
