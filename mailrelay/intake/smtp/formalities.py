"""The verbs that touch no mail: NOOP, HELP, VRFY, EXPN, RSET, QUIT."""

# ruff: noqa: N802  (aiosmtpd finds the verbs by the names of the methods)

from __future__ import annotations

from mailrelay.intake.smtp.conversation import Conversation


class Formalities(Conversation):
    """A conversation in which nothing is handed in yet."""

    async def smtp_RSET(self, argument: str) -> None:
        if argument:
            await self.refuse("syntax", expected="RSET")
            return
        self.end_mail()
        self.say("250 2.0.0 OK")

    async def smtp_NOOP(self, argument: str) -> None:
        self.say("250 2.0.0 OK")

    async def smtp_QUIT(self, argument: str) -> None:
        if argument:
            await self.refuse("syntax", expected="QUIT")
            return
        self.say("221 2.0.0 Bye")
        self._ended = True
        await self.leave()

    async def smtp_VRFY(self, argument: str) -> None:
        """RFC 5321 section 3.5.3: nobody learns here who has a mailbox."""
        if not argument:
            await self.refuse("syntax", expected="VRFY address")
            return
        self.say("252 2.5.2 Cannot VRFY, send the mail")

    async def smtp_EXPN(self, argument: str) -> None:
        await self.refuse("not-implemented")

    async def smtp_HELP(self, argument: str) -> None:
        self.say("214 2.0.0 RFC 5321")
