"""The verbs of SMTP, ESMTP and LMTP as a door of this house answers them. Content is read in `content.py`."""

# ruff: noqa: N802  (aiosmtpd finds the verbs by the names of the methods)

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field

from mailrelay.intake import admission
from mailrelay.intake.smtp.authentication import Login
from mailrelay.intake.smtp.content import Content
from mailrelay.intake.smtp.envelope import MailCommand, parse_mail, parse_rcpt
from mailrelay.intake.smtp.formalities import Formalities
from mailrelay.intake.smtp.peers import XCLIENT, XFORWARD, RealClient, promise_of, read_client
from mailrelay.intake.smtp.quota import Share
from mailrelay.intake.smtp.replies import Complaint
from mailrelay.model.acceptance import Acceptance
from mailrelay.model.agency import Directory
from mailrelay.model.decision import Action
from mailrelay.model.envelope import Door, Envelope, Origin, Recipient
from mailrelay.telemetry import log

_WITH_LOGIN = frozenset({Door.SUBMISSION, Door.SUBMISSIONS})
_NOBODY = RealClient()
_UNSAFE = re.compile(r"[^A-Za-z0-9.:_\[\]-]")  # in a greeting that goes into trace fields; old clients send any letters


@dataclass(slots=True)
class _Mail:
    """The mail that is being put together between MAIL and the end of its content."""

    command: MailCommand
    recipients: list[Recipient] = field(default_factory=list)
    share: Share | None = None  # of its login's quota, once it has a recipient outside
    content: Content | None = None  # open between BDAT chunks

    def give_back(self) -> None:
        """The mail goes nowhere: its login may use its share of the quota for another."""
        if self.share is not None:
            self.share.give_back()


class Session(Formalities):
    """One client at one door."""

    _exchange: Login | None = None
    _login: str | None = None
    _mail: _Mail | None = None
    _asserted: str | None = None  # login of this mail's sender, on the word of a neighbour
    _forwarded = _NOBODY  # what XFORWARD told about this mail
    _greeted = ""  # the name that the client gave
    _esmtp = False

    # ── greetings ──

    def _set_rset_state(self) -> None:
        """Called by the parent at the start of a connection and after the TLS handshake: all is forgotten (RFC 3207 4.2)."""
        super()._set_rset_state()  # type: ignore[no-untyped-call]
        self.end_mail()
        self._login, self._greeted, self._esmtp = None, "", False

    async def smtp_HELO(self, argument: str) -> None:
        if self._door is Door.LMTP:
            await self.refuse("unknown-command")
        elif await self._greet(argument, "HELO hostname", esmtp=False):
            self.say(f"250 {self.hostname}")

    async def smtp_EHLO(self, argument: str) -> None:
        if self._door is Door.LMTP:
            await self.refuse("unknown-command")
        elif await self._greet(argument, "EHLO hostname", esmtp=True):
            self._offer()

    async def smtp_LHLO(self, argument: str) -> None:
        if self._door is not Door.LMTP:
            await self.refuse("unknown-command")
        elif await self._greet(argument, "LHLO hostname", esmtp=True):
            self._offer()

    async def _greet(self, name: str, expected: str, *, esmtp: bool) -> bool:
        if not name or " " in name or len(name) > 255:
            await self.refuse("syntax", expected=expected)
            return False
        self.end_mail()
        self._greeted, self._esmtp = _UNSAFE.sub("?", name), esmtp
        return True

    def _offer(self) -> None:
        """The extensions that hold on this connection as it is now."""
        offers = [self.hostname, "PIPELINING", f"SIZE {self._desk.limits.size}", "8BITMIME", "SMTPUTF8"]
        offers += ["ENHANCEDSTATUSCODES", "DSN", "CHUNKING"]
        if self._desk.tls is not None and not self.is_encrypted:
            offers.append("STARTTLS")
        if self.is_encrypted:
            offers.append("REQUIRETLS")
            if self._door in _WITH_LOGIN:
                offers.append("AUTH PLAIN LOGIN")
        offers += [f"{verb} {' '.join(names)}" for verb, names in self._neighbour_verbs().items()]
        for offer in offers[:-1]:
            self.say(f"250-{offer}")
        self.say(f"250 {offers[-1]}")

    async def smtp_STARTTLS(self, argument: str) -> None:
        if argument:
            await self.refuse("syntax", expected="STARTTLS")
        elif self._desk.tls is None:
            await self.refuse("not-implemented")
        elif self.is_encrypted or not self._greeted or self._mail is not None:
            await self.refuse("bad-sequence", expected="EHLO, no TLS yet")
        else:
            self.say("220 2.0.0 Ready to start TLS")
            await self.encrypt()

    async def smtp_AUTH(self, argument: str) -> None:
        if self._door not in _WITH_LOGIN:
            await self.refuse("not-implemented")
        elif not self._greeted or not self._esmtp or self._login is not None or self._mail is not None:
            await self.refuse("bad-sequence", expected="EHLO, no login yet")
        elif not self.is_encrypted:
            await self.refuse("auth-needs-tls")
        else:
            self._exchange = self._exchange or Login(self, self._desk, self._client)
            self._login = await self._exchange.exchange(argument)
            if self._login is not None:
                self.progressed()
                self.say("235 2.7.0 Authentication successful")

    # ── the envelope ──

    async def smtp_MAIL(self, argument: str) -> None:
        if not self._greeted or self._mail is not None:
            await self.refuse("bad-sequence", expected="EHLO, no MAIL yet")
            return
        if self._door in _WITH_LOGIN and not self.is_encrypted:
            await self.refuse("tls-required")
            return
        if hindrance := self._desk.hindrance():
            await self.complain(Complaint(hindrance), weight=0)  # not the client's fault
            return
        command = parse_mail(argument, esmtp=self._esmtp)
        complaint = command if isinstance(command, Complaint) else self._judge_sender(command)
        if complaint is not None:
            await self.complain(complaint, utf8=isinstance(command, MailCommand) and command.smtputf8)
        elif isinstance(command, MailCommand):
            self._mail = _Mail(command)
            self.say("250 2.1.0 Sender OK")

    def _judge_sender(self, command: MailCommand) -> Complaint | None:
        if command.requiretls and not self.is_encrypted:
            return Complaint("unknown-parameter", {"parameter": "REQUIRETLS"})
        if command.size is not None and command.size > self._desk.limits.size:
            return Complaint("too-big", {"limit": f"{self._desk.limits.size // 1_000_000} MB"})
        directory = self._desk.directory()
        if "login" in self._rights and self._login is None and self._speaks_for_its_own:
            self._asserted = admission.asserted_login(directory, command.sender)
        if self._asserted or (self._promise and self._login is None):
            return None  # the neighbour vouches for the sender, or has taken the mail already: the rules will speak
        return self._admitted(directory, command.sender)

    @property
    def _promise(self) -> Action | None:
        """A client with a login of its own can be told; a promise is made by servers."""
        return None if self._door in _WITH_LOGIN else promise_of(self._rights)

    @property
    def _speaks_for_its_own(self) -> bool:
        """Whether this mail is a neighbour's own or its network's: of a client that it only describes, nothing is asserted."""
        told = self._forwarded
        return bool(told.local) if told != _NOBODY else not self._via

    def _admitted(self, directory: Directory, sender: str) -> Complaint | None:
        answer = admission.admit_sender(directory, self._origin(), sender)
        return Complaint(answer.refusal, answer.values) if answer.refusal else None

    async def smtp_RCPT(self, argument: str) -> None:
        mail = self._mail
        if mail is None or mail.content is not None:
            await self.refuse("bad-sequence", expected="MAIL")
            return
        utf8 = mail.command.smtputf8
        directory = self._desk.directory()
        recipient = parse_rcpt(argument, domain=directory.domain, smtputf8=utf8, esmtp=self._esmtp)
        if isinstance(recipient, Complaint):
            await self.complain(recipient, utf8=utf8)
            return
        complaint = self._judge_recipient(mail, directory, recipient)
        if complaint is not None:
            # a clerk's list with many old addresses is no attack
            await self.complain(complaint, utf8=utf8, weight=int(self._login is None))
            return
        mail.recipients.append(recipient)
        self.progressed()
        self.say("250 2.1.5 Recipient OK")

    def _judge_recipient(self, mail: _Mail, directory: Directory, recipient: Recipient) -> Complaint | None:
        limits = self._desk.limits
        if len(mail.recipients) >= limits.recipients:
            return Complaint("too-many-recipients", {"limit": str(limits.recipients)})
        origin = self._origin()
        answer = admission.admit_recipient(directory, origin, recipient.address)
        if answer.refusal and not self._promise:
            return Complaint(answer.refusal, answer.values)
        if origin.login is None or directory.is_local(recipient.address):
            return None
        mail.share = mail.share or self._desk.quota.share(origin.login)
        refusal = mail.share.take(self.loop.time())
        if refusal:
            log.warning("quota", login=origin.login, refusal=refusal)
            hours = f"{limits.quota_time.total_seconds() / 3600:g}"
            return Complaint(refusal, {"login": origin.login, "hours": hours})
        return None

    def _origin(self) -> Origin:
        told = self._forwarded
        return Origin(
            self._door,
            told.peer or self._peer,
            told.helo or self._greeted,
            self.tls,
            self._login or self._asserted,
            self._esmtp if told.esmtp is None else told.esmtp,
            via=self._via or (self._peer if told.peer else ""),
            promise=self._promise,
        )

    def _envelope(self, mail: _Mail) -> Envelope:
        command = mail.command
        return Envelope(
            command.sender,
            tuple(mail.recipients),
            self._origin(),
            ret=command.ret,
            envid=command.envid,
            body=command.body,
            smtputf8=command.smtputf8,
            requiretls=command.requiretls,
        )

    # ── the content ──

    async def smtp_DATA(self, argument: str) -> None:
        mail = self._mail
        if argument:
            await self.refuse("syntax", expected="DATA")
        elif mail is None or mail.content is not None:
            await self.refuse("bad-sequence", expected="MAIL, RCPT, no BDAT")
        elif not mail.recipients:
            await self.refuse("no-valid-recipients")
        else:
            await self._take_data(mail)

    async def _take_data(self, mail: _Mail) -> None:
        content = mail.content = Content(self, self._desk)
        if content.complaint is None:
            self.say("354 End data with <CR><LF>.<CR><LF>")
            await self.flush()
            await content.read_data()
        await self._conclude(mail, content)

    async def smtp_BDAT(self, argument: str) -> None:
        size, last = _chunk(argument)
        if size < 0:
            # the octets that follow cannot be told from commands
            await self.refuse("syntax", expected="BDAT size [LAST]")
            await self.leave()
        mail = self._mail
        if mail is None or not mail.recipients:
            await Content.drop_chunk(self, self._desk, size)
            await self.refuse("no-valid-recipients" if mail else "bad-sequence", expected="MAIL, RCPT")
            return
        if mail.content is None:
            mail.content = Content(self, self._desk)
        await mail.content.read_chunk(size, last=last)
        if last:
            await self._conclude(mail, mail.content)
        elif mail.content.complaint is not None:
            await self.complain(mail.content.complaint, utf8=mail.command.smtputf8)
        else:
            self._idle = 0 if size else self._idle  # to go on and on without end is no progress
            self.say(f"250 2.0.0 {size} octets")

    async def _conclude(self, mail: _Mail, content: Content) -> None:
        """The content is complete: refuse it, or hand the mail in and tell what came of it."""
        self._mail = None
        envelope = self._envelope(mail)
        self._asserted, self._forwarded = None, _NOBODY
        if content.complaint is not None:
            mail.give_back()
            await asyncio.to_thread(content.discard)  # it syncs a folder
            await self._answer(mail, content.complaint)
            return
        self.stop_waiting()
        acceptance = await self._desk.hand_in(envelope, content.give(), mail.share)
        self.progressed()
        if acceptance.refusal:
            await self._answer(mail, Complaint(acceptance.refusal, acceptance.values))
        else:
            await self._answer(mail, acceptance)

    async def _answer(self, mail: _Mail, result: Acceptance | Complaint) -> None:
        """One reply, or on LMTP one for each recipient (RFC 2033 section 4.2)."""
        replies = len(mail.recipients) if self._door is Door.LMTP else 1
        if isinstance(result, Acceptance):
            again = "Da nhan truoc day (already accepted)" if result.repeated else "Da nhan thu (accepted)"
            for _ in range(replies):
                self.say(f"250 2.0.0 {result.mail_id} {again}")
            return
        for _ in range(replies - 1):
            self.tell(self.rendered(result, utf8=mail.command.smtputf8))
        await self.complain(result, utf8=mail.command.smtputf8)

    def must_stay(self, now: float) -> bool:
        content = self._mail.content if self._mail else None
        flows = content is not None and not content.is_crawling(now)
        return flows or self._login is not None or super().must_stay(now)

    def end_mail(self) -> None:
        if self._mail is not None:
            self._mail.give_back()
            if self._mail.content is not None:
                self._mail.content.give_up()
        self._mail, self._asserted, self._forwarded = None, None, _NOBODY

    # ── listed neighbours ──

    def _neighbour_verbs(self) -> dict[str, tuple[str, ...]]:
        """XCLIENT and XFORWARD with the attributes that this neighbour may give."""
        verbs: dict[str, tuple[str, ...]] = {}
        if "xclient" in self._rights:
            verbs["XCLIENT"] = tuple(name for name in XCLIENT if name != "LOGIN" or "login" in self._rights)
        if "xforward" in self._rights:
            verbs["XFORWARD"] = XFORWARD
        return verbs

    async def _tell(self, verb: str, argument: str) -> RealClient | None:
        """What the neighbour tells of its client; None after a refusal that was said."""
        permitted = self._neighbour_verbs().get(verb)
        if permitted is None:
            await self.refuse("not-implemented")
        elif self._mail is not None:
            await self.refuse("bad-sequence", expected="no MAIL yet")
        else:
            told = read_client(argument, permitted)
            if isinstance(told, RealClient):
                return told
            await self.complain(told)
        return None

    async def smtp_XCLIENT(self, argument: str) -> None:
        """The session begins anew for the client that the neighbour names."""
        told = await self._tell("XCLIENT", argument)
        if told is None:
            return
        if told.peer is not None and told.peer != self._peer:
            self._login, self._exchange = None, None  # those of the client before
        self.speak_for(told.peer or "")
        if not self._counted:
            await self.refuse("too-many-connections")
        self._greeted, self._esmtp = "", False
        if told.login is not None:
            box = admission.account_of(self._desk.directory(), told.login)
            self._login = box.login if box else None
        self.greet()

    async def smtp_XFORWARD(self, argument: str) -> None:
        """What is told holds for the next mail."""
        told = await self._tell("XFORWARD", argument)
        if told is not None:
            self._forwarded = self._forwarded.with_more(told)
            self.say("250 2.0.0 OK")


def _chunk(argument: str) -> tuple[int, bool]:
    """Size and LAST of a BDAT command (RFC 3030 section 2); size -1 for anything else."""
    words = argument.split(" ")
    last = len(words) == 2 and words[1].upper() == "LAST"
    if len(words) > 2 or (len(words) == 2 and not last):
        return -1, False
    number = words[0]
    return (int(number), last) if number.isascii() and number.isdigit() and len(number) <= 20 else (-1, False)
