"""What a process was sending when it died is known to the next one of its folder."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

from mailrelay.delivery.under_way import UnderWay
from mailrelay.model.identity import MailId, make_mail_id

A, B, C = (make_mail_id(number, bytes(10)) for number in (1, 2, 3))


def opened(path: Path, slots: int = 4) -> UnderWay:
    under_way = UnderWay(path, slots)
    under_way.forget()
    return under_way


def left(path: Path) -> frozenset[MailId] | None:
    under_way = UnderWay(path, 4)
    under_way.close()
    return under_way.left


def test_nothing_is_known_before_the_first_start(tmp_path: Path) -> None:
    assert left(tmp_path / "under-way") is None


def test_what_has_begun_and_not_ended_is_left(tmp_path: Path) -> None:
    path = tmp_path / "under-way"
    under_way = opened(path)
    assert left(path) == frozenset()
    slots = [under_way.begin(mail_id) for mail_id in (A, B, A)]
    under_way.end(slots[1])
    assert left(path) == {A}
    under_way.end(slots[0])
    assert left(path) == {A}  # it goes to two places
    under_way.end(slots[2])
    assert left(path) == frozenset()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_slots_are_used_again_and_their_end_is_no_fault(tmp_path: Path) -> None:
    under_way = opened(tmp_path / "under-way", slots=2)
    for _ in range(3):
        slots = [under_way.begin(A), under_way.begin(B), under_way.begin(C)]
        assert slots[2] == -1
        for slot in slots:
            under_way.end(slot)
    assert left(tmp_path / "under-way") == frozenset()


def test_it_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "under-way"
    dying = (
        "import os, signal, sys; from pathlib import Path; from mailrelay.delivery.under_way import UnderWay;"
        f"u = UnderWay(Path(sys.argv[1])); u.forget(); u.begin({A!r}); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", dying, str(path)], check=False)
    assert ended.returncode == -9
    assert left(path) == {A}


def test_foul_content_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "under-way"
    path.write_bytes(os.urandom(50))
    assert left(path) is not None


def test_a_disk_in_trouble_is_no_fault_of_the_sending(tmp_path: Path) -> None:
    under_way = opened(tmp_path / "under-way")
    slot = under_way.begin(A)
    under_way.close()
    assert under_way.begin(B) >= 0
    under_way.end(slot)
