"""Look-ups as evidence: what was asked and what came back, to the octet, whatever was asked before for other mails."""

from __future__ import annotations

import json

from mailrelay.inspection.asking import Asking, of_record
from mailrelay.inspection.dns import AddressAnswer, MxAnswer, PtrAnswer, TxtAnswer


class _Zone:
    """Answers that a test may change between two mails."""

    def __init__(self) -> None:
        self.records: tuple[bytes, ...] = (b"v=spf1 mx -all", b"\xff")
        self.secure = True

    async def txt(self, name: str) -> TxtAnswer:
        return TxtAnswer(self.records, "ok", self.secure, 300, ("RRSIG",))

    async def mx(self, domain: str) -> MxAnswer:
        return MxAnswer(((10, "a.vn"),), "ok", self.secure)

    async def host(self, name: str, version: int) -> AddressAnswer:
        return AddressAnswer(("192.0.2.1",) if version == 4 else (), "ok" if version == 4 else "none")

    async def ptr(self, address: str) -> PtrAnswer:
        return PtrAnswer(("a.vn",), "ok")


async def _asked(zone: _Zone) -> list[dict[str, object]]:
    asking = Asking(zone.txt, zone)
    assert asking.exhibit() is None
    await asking.txt("STC.vn")
    await asking.mx("stc.vn")
    await asking.host("a.vn", 4)
    await asking.host("a.vn", 6)
    await asking.ptr("192.0.2.1")
    await asking.txt("stc.VN")  # the same question is one piece
    found = asking.exhibit()
    assert found is not None
    return list(json.loads(found.data))


async def test_every_question_of_a_check_is_kept_in_order_with_its_answer() -> None:
    zone = _Zone()
    txt = {"name": "stc.vn", "type": "TXT", "state": "ok", "secure": True}
    expected = [
        {**txt, "records": ["v=spf1 mx -all", "\xff"], "signatures": ["RRSIG"]},
        {"name": "stc.vn", "type": "MX", "state": "ok", "secure": True, "records": [[10, "a.vn"]]},
        {"name": "a.vn", "type": "A", "state": "ok", "secure": False, "records": ["192.0.2.1"]},
        {"name": "a.vn", "type": "AAAA", "state": "none", "secure": False, "records": []},
        {"name": "192.0.2.1", "type": "PTR", "state": "ok", "secure": False, "records": ["a.vn"]},
    ]
    assert await _asked(zone) == expected


async def test_the_evidence_of_the_next_mail_is_what_was_answered_for_it() -> None:
    zone = _Zone()
    await _asked(zone)
    zone.records, zone.secure = (b"v=spf1 -all",), False
    first = (await _asked(zone))[0]
    assert (first["records"], first["secure"]) == (["v=spf1 -all"], False)


def test_the_same_record_is_the_same_piece_of_evidence_and_another_is_another() -> None:
    name = "k1._domainkey.STC.vn"
    one = of_record(name, TxtAnswer((b"p=a",), "ok", ttl=300))
    again = of_record(name.lower(), TxtAnswer((b"p=a",), "ok", ttl=299))
    assert one == again
    others = [
        of_record(name, TxtAnswer((b"p=b",), "ok")),
        of_record(name, TxtAnswer((b"p=a",), "ok", secure=True)),
        of_record(name, TxtAnswer((b"p=a",), "ok", signatures=("RRSIG",))),
        of_record("k2._domainkey.stc.vn", TxtAnswer((b"p=a",), "ok")),
    ]
    assert len({piece.digest for piece in (one, *others)}) == 5
