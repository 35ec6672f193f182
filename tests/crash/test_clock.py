"""The machine's clock jumps under the running service, forwards and back: every mail still goes once, and the jump is told."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.crash.office import Office
from tests.servers.process import wait_until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]

_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


class WrongClock:
    """libfaketime: `offset` is added to the wall clock of a process from now on; the steady clock stays as it is."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set("+0")

    def set(self, offset: str) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(f"{offset}\n")
        new.replace(self._file)

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "LD_PRELOAD": str(_LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }


def test_a_clock_that_jumps_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with Office(tmp_path / "office", polled=True) as office:
        clock = WrongClock(tmp_path / "clock")
        office.start(env=clock.environment)
        office.next_hop.replies["RCPT"] = "450 4.2.1 later"  # a queue that waits while the clock jumps
        senders = office.clients(itertools.count(1))
        senders.start()
        try:
            for number, offset in enumerate(("+3h", "-30d", "+0"), 1):
                before = office.truth.answered
                wait_until(lambda seen=before: office.truth.answered >= seen + 6, "6 answers", 120)
                office.place(number)
                clock.set(offset)
                wait_until(lambda seen=number: _jumps(office) >= seen, f"word of the jump to {offset}", 60)
            office.next_hop.replies.clear()
            senders.finish()
            assert office.finish() == []
        finally:
            senders.stop()
        assert _jumps(office) == 3
        assert office.relay.child.returncode is None
        copies = office.evidence().relayed
        assert len(copies) == len({(copy.mail_id, copy.recipient) for copy in copies}) > 0


def _jumps(office: Office) -> int:
    return office.relay.child.output().count('"event": "clock-jumped"')
