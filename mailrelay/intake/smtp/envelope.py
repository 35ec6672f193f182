"""Strict reader of the arguments of MAIL and RCPT: RFC 5321 section 4.1.2, RFC 6531, RFC 3461. Pure.

A regex reads the plain addresses that nearly all mail has; everything else goes through the full grammar in `path.py`.
Never the header grammar of RFC 5322: no comments, no folding, no display names, no source routes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from mailrelay.intake.smtp.path import Malformed, read_path
from mailrelay.intake.smtp.replies import Complaint
from mailrelay.model.envelope import Notify, Recipient

_ATOM = r"[A-Za-z0-9!#$&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PLAIN = re.compile(rf"<((?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?=[^>]{{1,185}}>)(?:{_LABEL}\.)+{_LABEL})>(?: +|\Z)")
_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*\Z")
_VALUE = re.compile(r"[^\x00-\x20=\x7f]+\Z")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+\Z")
_ORCPT = re.compile(r"[A-Za-z0-9-]+;[^\x00-\x20\x7f]+\Z")
_DIGITS = re.compile(r"[0-9]{1,20}\Z")
_MAIL_SYNTAX = Complaint("syntax", {"expected": "MAIL FROM:<address>"})
_RCPT_SYNTAX = Complaint("syntax", {"expected": "RCPT TO:<address>"})


@dataclass(frozen=True, slots=True)
class MailCommand:
    """What MAIL FROM said. `size` is None when not declared; `auth` is the AUTH= mailbox, letter for letter (RFC 4954)."""

    sender: str
    size: int | None = None
    ret: str | None = None
    envid: str | None = None
    body: str = "7BIT"
    smtputf8: bool = False
    requiretls: bool = False
    auth: str | None = None


class _Refused(Exception):
    def __init__(self, complaint: Complaint) -> None:
        self.complaint = complaint


def parse_mail(argument: str, *, esmtp: bool = True) -> MailCommand | Complaint:
    """Read what follows the verb MAIL. The sender "" is the null reverse-path."""
    try:
        path, words = _split(argument, "FROM:", _MAIL_SYNTAX, "bad-sender-address", esmtp=esmtp)
        return _mail_command("" if path == "<>" else path, _parameters(words))
    except _Refused as refused:
        return refused.complaint


def parse_rcpt(argument: str, *, domain: str, smtputf8: bool = False, esmtp: bool = True) -> Recipient | Complaint:
    """Read what follows the verb RCPT. `<Postmaster>` alone means the postmaster of `domain` (RFC 5321 section 4.1.1.3)."""
    try:
        path, words = _split(argument, "TO:", _RCPT_SYNTAX, "bad-recipient-address", esmtp=esmtp)
        if path.lower() == "<postmaster>":
            path = f"{path[1:-1]}@{domain}"
        local_part = path.rpartition("@")[0]
        # "user%host@relay" and "host!user@relay" ask a relay to route onwards: never
        if not local_part or "%" in local_part or "!" in local_part or "@" in local_part:
            raise _Refused(Complaint("bad-recipient-address"))
        if not path.isascii() and not smtputf8:
            raise _Refused(Complaint("smtputf8-required"))
        return _recipient(path, _parameters(words))
    except _Refused as refused:
        return refused.complaint


def _split(argument: str, keyword: str, wrong: Complaint, bad: str, *, esmtp: bool) -> tuple[str, list[str]]:
    """The address (or "<>", "<postmaster>") and the parameters. Blanks after the colon are borne: old devices send them."""
    if argument[: len(keyword)].upper() != keyword:
        raise _Refused(wrong)
    rest = argument[len(keyword) :].strip(" ")
    plain = _PLAIN.match(rest)
    if plain:
        path, tail = plain.group(1), rest[plain.end() :]
    else:
        if not rest.startswith("<"):
            raise _Refused(wrong)
        try:
            path, end = read_path(rest)
        except Malformed as fault:
            raise _Refused(Complaint(bad)) from fault
        tail = rest[end:]
        if tail and not tail.startswith(" "):
            raise _Refused(wrong)
    words = tail.split(" ") if tail.strip(" ") else []
    words = [word for word in words if word]
    if words and not esmtp:
        raise _Refused(Complaint("unknown-parameter", {"parameter": words[0]}))
    return path, words


def _parameters(words: list[str]) -> dict[str, str | None]:
    """Keyword (upper case) to value (letter for letter), RFC 5321 section 4.1.2; a keyword may stand only once."""
    parameters: dict[str, str | None] = {}
    for word in words:
        keyword, equals, value = word.partition("=")
        key = keyword.upper()
        if not _KEYWORD.match(keyword) or key in parameters or (equals and not _VALUE.match(value) and key != "AUTH"):
            raise _Refused(Complaint("bad-parameter", {"parameter": keyword}))
        parameters[key] = value if equals else None
    return parameters


def _read(parameters: dict[str, str | None], known: dict[str, Callable[[str | None], object]]) -> dict[str, object]:
    """Give each parameter to its reader; a reader answers with None for a value that is not permitted."""
    read: dict[str, object] = {}
    for key, value in parameters.items():
        reader = known.get(key)
        if reader is None:
            raise _Refused(Complaint("unknown-parameter", {"parameter": key}))
        result = reader(value)
        if result is None:
            raise _Refused(Complaint("bad-parameter", {"parameter": key}))
        read[key.lower()] = result
    return read


def _mail_command(sender: str, parameters: dict[str, str | None]) -> MailCommand:
    read = _read(parameters, _MAIL_PARAMETERS) if parameters else {}
    if not sender.isascii() and "smtputf8" not in read:
        raise _Refused(Complaint("smtputf8-required"))
    return MailCommand(sender, **read)  # type: ignore[arg-type]  # each reader returns the type of its field


def _recipient(address: str, parameters: dict[str, str | None]) -> Recipient:
    read = _read(parameters, _RCPT_PARAMETERS) if parameters else {}
    return Recipient(address, **read)  # type: ignore[arg-type]  # each reader returns the type of its field


def _flag(value: str | None) -> bool | None:
    return True if value is None else None


def _choice(*permitted: str) -> Callable[[str | None], str | None]:
    return lambda value: value.upper() if value is not None and value.upper() in permitted else None


def _size(value: str | None) -> int | None:
    return int(value) if value is not None and _DIGITS.match(value) else None


def _envid(value: str | None) -> str | None:
    return value if value is not None and len(value) <= 100 and _XTEXT.match(value) else None


def _auth(value: str | None) -> str | None:
    return value if value is not None and (value == "<>" or _XTEXT.match(value)) else None


def _orcpt(value: str | None) -> str | None:
    if value is None or len(value) > 500 or not _ORCPT.match(value):
        return None
    kind, _, address = value.partition(";")
    return value if kind.lower() == "utf-8" or _XTEXT.match(address) else None


def _notify(value: str | None) -> frozenset[Notify] | None:
    words = (value or "").upper().split(",")
    if any(word not in Notify.__members__ for word in words) or ("NEVER" in words and len(words) > 1):
        return None
    return frozenset(Notify[word] for word in words)


_MAIL_PARAMETERS: dict[str, Callable[[str | None], object]] = {
    "SIZE": _size,  # RFC 1870
    "BODY": _choice("7BIT", "8BITMIME"),  # RFC 6152; BINARYMIME is not offered
    "SMTPUTF8": _flag,  # RFC 6531
    "REQUIRETLS": _flag,  # RFC 8689
    "RET": _choice("FULL", "HDRS"),  # RFC 3461
    "ENVID": _envid,
    "AUTH": _auth,  # RFC 4954 section 5
}
_RCPT_PARAMETERS: dict[str, Callable[[str | None], object]] = {"NOTIFY": _notify, "ORCPT": _orcpt}
