"""What verdicts rest on, on its way from a look at a mail into the folder of evidence and into `trace --json`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mailrelay.model.faults import StoreUnhealthy
from mailrelay.model.finding import Check
from mailrelay.reports.trace import shape
from tests.pipeline.house import PLANNING, STRANGER, House, paper
from tests.schemas import problems

MINISTRY = "vanthu@mic.gov.vn"  # an authority: its papers are documents


async def test_a_document_keeps_the_answers_that_were_looked_up(house: House) -> None:
    raw = paper(4, author=MINISTRY)
    life = await house.settled(await house.hand_in(raw, PLANNING, sender=MINISTRY, origin=STRANGER))
    told = shape(life)
    assert problems("trace", told) == []
    proved = {one["check"]: one for one in told["findings"] if one.get("evidence")}
    assert {Check.SPF, Check.DMARC} <= set(proved)
    for finding in proved.values():
        (piece,) = finding["evidence"]
        data = house.parts.evidence.read(piece["sha256"])
        assert data is not None
        answers = json.loads(data)
        assert all(answer["state"] in ("ok", "none", "temperror") for answer in answers)
        assert {"name", "type", "secure"} <= set(answers[0])
        assert finding["checked_at"].endswith("+00:00")
    (asked,) = proved[Check.DMARC]["evidence"]
    names = [one["name"] for one in json.loads(house.parts.evidence.read(asked["sha256"]) or b"[]")]
    assert names == ["_dmarc.mic.gov.vn"]


async def test_a_letter_keeps_none(house: House) -> None:
    raw = b"From: <a@mic.example>\r\nSubject: Hoi tham\r\nMessage-ID: <l@mic.example>\r\n\r\nEm oi.\r\n"
    life = await house.settled(await house.hand_in(raw, PLANNING, sender="a@mic.example", origin=STRANGER))
    assert life.record.message_class == "letter"
    folder = house.office().settings.evidence_dir
    assert not [path for path in folder.rglob("*") if path.is_file()]


async def test_a_mail_whose_evidence_cannot_be_kept_is_not_taken(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    class Sick:
        def missing(self, exhibits: object) -> object:
            return exhibits

        def keep(self, exhibits: object) -> None:
            raise StoreUnhealthy("fsync failed")

    house.pipeline._parts = replace(house.parts, evidence=Sick())  # type: ignore[arg-type]
    with pytest.raises(StoreUnhealthy):
        await house.hand_in(paper(4, author=MINISTRY), PLANNING, sender=MINISTRY, origin=STRANGER)
    spool: Path = house.office().settings.spool_dir
    assert not [path for path in spool.rglob("*.eml")]
