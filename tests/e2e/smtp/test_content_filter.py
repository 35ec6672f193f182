"""Behind a real Postfix: as its content filter and as its proxy filter, with mail going back to its re-injection port."""

from __future__ import annotations

import contextlib
import smtplib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.papers import carried, crlf, paper, parsed
from tests.servers.dns import DnsServer
from tests.servers.postfix import Postfix
from tests.servers.process import LOOPBACK, free_port, wait_until
from tests.servers.relay import Relay

pytestmark = pytest.mark.e2e

STRANGER = "127.0.0.2"  # the address from which outside mail comes to Postfix; its own network is 127.0.0.1 alone
CLERK, RECEIVER, ALIAS = "vpubnd@hoabinh.gov.vn", "sotc@hoabinh.gov.vn", "chi-mta-biet@hoabinh.gov.vn"
MINISTRY = "vanthu@bo.example"
BOXES = (CLERK, RECEIVER, ALIAS, MINISTRY)
_FILTER = """\
scan unix - - n - 10 smtp
  -o smtp_send_xforward_command=yes
  -o disable_mime_output_conversion=yes
"""
_BACK = """\
127.0.0.1:{port} inet n - n - - smtpd
  -o content_filter={again}
  -o smtpd_proxy_filter=
  -o smtpd_relay_restrictions=permit_mynetworks,reject
  -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks,no_milters
  -o smtpd_authorized_xforward_hosts=127.0.0.0/8
"""


class Pair:
    """mailrelay and the Postfix in front of it. `again`: the re-injection port filters too, as a careless admin leaves it."""

    def __init__(self, relay: Relay, rights: str, *, proxy: bool = False, again: bool = False) -> None:
        back = free_port()
        settings = relay.folder / "mailrelay.toml"
        text = settings.read_text()
        assert '# reinject = ""' in text
        settings.write_text(text.replace('# reinject = ""', f'reinject = "smtp://{LOOPBACK}:{back}?tls=none"'))
        relay.add_settings(f'\n[[smtp.peers]]\nnetwork = "{LOOPBACK}"\nrights = {rights}\n')
        relay.start()
        self.relay = relay
        port = relay.address("mx")[1]
        scan = f"scan:[{LOOPBACK}]:{port}"
        way = {"smtpd_proxy_filter": f"{LOOPBACK}:{port}"} if proxy else {"content_filter": scan}
        self.postfix = Postfix(
            mailboxes=BOXES,
            hostname="mx.hoabinh.gov.vn",
            settings={
                **way,
                "inet_interfaces": LOOPBACK,
                "mynetworks": f"{LOOPBACK}/32",
                "local_header_rewrite_clients": "permit_mynetworks",
                "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
                "virtual_mailbox_domains": "hoabinh.gov.vn, bo.example",
                "virtual_alias_maps": "",
            },
            services=_FILTER + _BACK.format(port=back, again=scan if again else ""),
        )

    def send(self, sender: str, recipients: list[str], mail: bytes, *, source: str = STRANGER) -> dict[str, Any]:
        with smtplib.SMTP(LOOPBACK, self.postfix.port, timeout=30, source_address=(source, 0)) as client:
            return client.sendmail(sender, recipients, mail)

    def papers(self, address: str, count: int) -> list[bytes]:
        """The mails in a box that are no notices of ours, once there are so many."""

        def found() -> list[bytes]:
            return [raw for raw in self.postfix.letters(address) if b"\nX-Mailrelay-Receipt:" not in raw]

        try:
            wait_until(lambda: len(found()) >= count, f"{count} papers for {address}", 40)
        except TimeoutError as fault:
            raise TimeoutError(f"{fault}\n{self.postfix.log()[-4000:]}") from None
        return found()

    def notices(self, address: str, kind: str, count: int) -> list[Any]:
        def found() -> list[Any]:
            mails = [parsed(crlf(raw)) for raw in self.postfix.letters(address)]
            return [mail for mail in mails if mail["X-Mailrelay-Receipt"] == kind]

        wait_until(lambda: len(found()) >= count, f"{count} notices {kind} for {address}", 40)
        return found()

    def dispatches(self, *states: str) -> list[dict[str, Any]]:
        wanted = [word for state in states for word in ("--state", state)]
        rows: list[dict[str, Any]] = self.relay.json("queue", "list", *wanted)["dispatches"]
        return rows

    def held(self, count: int) -> list[dict[str, Any]]:
        try:
            wait_until(lambda: len(self.dispatches("held")) >= count, f"{count} held", 40)
        except TimeoutError as fault:
            raise TimeoutError(f"{fault}\n{self.postfix.log()[-4000:]}") from None
        return self.dispatches("held")

    def at_rest(self) -> None:
        """Postfix has nothing left, and nothing waits with us but what is held."""
        wait_until(lambda: not self.postfix.queue(), "an empty queue of Postfix", 40)
        wait_until(lambda: not self.dispatches("queued", "sending", "deferred"), "an empty queue of ours", 40)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Any]:
    """Make the pair with the rights of Postfix and its way to us."""
    zone = {"bo.example": {"TXT": [f"v=spf1 ip4:{STRANGER} -all"]}}
    with DnsServer(zone) as names, contextlib.ExitStack() as stack:
        relay = Relay(tmp_path / "office", name_server=names.port)
        stack.callback(relay.close)

        def make(rights: str, **ways: bool) -> Pair:
            made = Pair(relay, rights, **ways)
            stack.enter_context(made.postfix)
            return made

        yield make
    if relay.log.exists():
        print(relay.log.read_text()[-6000:])


def two_authors(code: str) -> bytes:
    """A paper that the rules refuse: nobody knows whose it is."""
    return b"From: la <la@khac.example>\r\n" + paper(MINISTRY, RECEIVER, code, "mot viec")


def test_outside_mail_goes_through_us_and_back_once(pair: Any) -> None:
    """To a box that we know and to an alias that only Postfix knows; SPF is asked for the real client."""
    both = pair('["xforward", "login", "hold"]')
    mail = paper(MINISTRY, RECEIVER, "1777/BTTTT-CNTT", "hướng dẫn")
    both.send(MINISTRY, [RECEIVER, ALIAS], mail)
    for address in (RECEIVER, ALIAS):
        (stored,) = both.papers(address, 1)
        received = crlf(stored)
        assert carried(received, mail), received
        answers = " ".join(str(parsed(received)["Authentication-Results"]).split())
        assert "spf=pass" in answers and "smtp.mailfrom=" in answers
        assert f"([{STRANGER}])" in received.decode()
        told = both.relay.json("trace", str(parsed(received)["X-Mailrelay-Id"]))
        assert (told["door"], told["login"]) == ("mx", None)
        assert {row["state"] for row in told["dispatches"]} == {"relayed"}
    both.at_rest()
    assert len(both.papers(RECEIVER, 1)) == 1


def test_what_the_rules_refuse_is_held_and_can_be_released(pair: Any) -> None:
    """Postfix has said 250: a 5xx would make it bounce to whoever the mail names. The forged clerk is no clerk."""
    both = pair('["xforward", "login", "hold"]')
    both.send(CLERK, [RECEIVER], paper(CLERK, RECEIVER, "1/BC-UBND", "giả danh"))
    both.send(MINISTRY, [RECEIVER], two_authors("2/BC-BTTTT"))
    held = both.held(2)
    lives = {told["envelope"]["from"]: told for told in (both.relay.json("trace", row["mail_id"]) for row in held)}
    assert set(lives) == {CLERK, MINISTRY}
    assert lives[CLERK]["login"] is None
    rules = lives[CLERK]["decision"]["recipients"][0]["rules"]
    assert "own-domain-without-login" in rules
    both.at_rest()
    assert "status=bounced" not in both.postfix.log()
    assert both.relay.command("queue", "release", lives[MINISTRY]["mail_id"]).returncode == 0
    (stored,) = both.papers(RECEIVER, 1)
    assert crlf(stored).endswith(two_authors("2/BC-BTTTT"))


def test_what_the_rules_refuse_is_returned_with_a_notice_to_who_is_proved(pair: Any) -> None:
    both = pair('["xforward", "login", "return"]')
    both.send(MINISTRY, [RECEIVER], two_authors("2/BC-BTTTT"))
    (notice,) = both.notices(MINISTRY, "returned", 1)
    assert notice["Auto-Submitted"] == "auto-replied" or str(notice["Auto-Submitted"]).startswith("auto-")
    unproved = paper("ai@khong-spf.example", RECEIVER, "3/BC-X", "khong ro")
    both.send("ai@khong-spf.example", [RECEIVER], b"From: la <la@khac.example>\r\n" + unproved)
    (row,) = both.held(1)  # nobody may be told, so a person must see it
    assert both.relay.json("trace", row["mail_id"])["envelope"]["from"] == "ai@khong-spf.example"
    both.at_rest()
    assert both.papers(RECEIVER, 0) == []


def test_a_clerk_of_the_present_server_is_a_clerk_of_ours(pair: Any) -> None:
    """Mail from Postfix's own network, to outside and inside; the receipts go back to the boxes on Postfix."""
    both = pair('["xforward", "login", "hold"]')
    mail = paper(CLERK, MINISTRY, "60/BC-UBND", "báo cáo quý")
    both.send(CLERK, [MINISTRY, RECEIVER], mail, source=LOOPBACK)
    for address in (MINISTRY, RECEIVER):
        (stored,) = both.papers(address, 1)
        assert carried(crlf(stored), mail)
    told = both.relay.json("trace", str(parsed(crlf(stored))["X-Mailrelay-Id"]))
    assert told["login"] == "vpubnd"
    assert {entry["book"] for entry in told["entries"]} == {"outgoing", "incoming"}
    both.notices(CLERK, "sent", 1)
    both.notices(RECEIVER, "incoming", 1)
    both.at_rest()


def test_a_route_that_leads_in_a_circle_holds_the_mail(pair: Any) -> None:
    """The re-injection port filters too: to take our own mail for a repeat would lose it, to pass it on would never end."""
    both = pair('["xforward", "login", "hold"]', again=True)
    mail = paper(MINISTRY, RECEIVER, "1777/BTTTT-CNTT", "hướng dẫn")
    both.send(MINISTRY, [RECEIVER], mail)
    (row,) = both.held(1)
    told = both.relay.json("trace", row["mail_id"])
    assert told["decision"]["recipients"][0]["rules"][-1] == "door.loop"
    both.at_rest()  # no notice of it goes in the same circle
    assert len(both.held(1)) == 1 and both.papers(RECEIVER, 0) == []
    assert "mail-loop" in both.relay.log.read_text()


def test_as_a_proxy_filter_the_client_hears_our_refusal(pair: Any) -> None:
    """Before Postfix has promised anything a refusal is a refusal, in the client's own session."""
    both = pair('["xforward", "login"]', proxy=True)
    mail = paper(MINISTRY, RECEIVER, "1777/BTTTT-CNTT", "hướng dẫn")
    both.send(MINISTRY, [RECEIVER], mail)
    (stored,) = both.papers(RECEIVER, 1)
    assert carried(crlf(stored), mail)
    assert f"([{STRANGER}])" in crlf(stored).decode()
    with pytest.raises(smtplib.SMTPDataError) as refused:
        both.send(MINISTRY, [RECEIVER], two_authors("2/BC-BTTTT"))
    assert refused.value.smtp_code // 100 == 5 and b"[structure]" in refused.value.smtp_error
    with pytest.raises(smtplib.SMTPRecipientsRefused) as nobody:
        both.send(MINISTRY, ["khong-co@hoabinh.gov.vn"], mail)
    assert nobody.value.recipients["khong-co@hoabinh.gov.vn"][0] // 100 == 5
    both.at_rest()
