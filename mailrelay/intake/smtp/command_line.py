"""What makes a line a command (RFC 5321 section 2.3.8 and 4.5.3.1.4), and what is no SMTP at all. Pure."""

from __future__ import annotations

_COMMAND_LENGTH = {"MAIL": 2048, "RCPT": 2048, "AUTH": 12288}  # RFC 5321 4.5.3.1.4 with RFC 3461, 6531, 4954
_OTHER_LENGTH = 1024
FOREIGN = frozenset(
    {"GET", "POST", "HEAD", "PUT", "OPTIONS", "CONNECT", "DELETE", "PATCH", "TRACE", "PRI", "HOST:", "USER-AGENT:"}
)


def fault_of(verb: str, line: bytes) -> str:
    """What makes a line no command; "" when it is one. RFC 5321 section 2.3.8: only CRLF ends a line."""
    if not line.endswith(b"\r\n"):
        return "lines end with CRLF"
    if len(line) > _COMMAND_LENGTH.get(verb, _OTHER_LENGTH):
        return "line too long"
    if not line[:-2].decode("latin-1").isprintable() and any(c < 32 or c == 127 for c in line[:-2]):
        return "control characters"
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return "neither ASCII nor UTF-8"
    return ""
