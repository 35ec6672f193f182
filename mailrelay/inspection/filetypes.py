"""The type of a file by its content (libmagic) against its name and its declared type. In the worker only."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from mailrelay.inspection import names
from mailrelay.inspection.content import File
from mailrelay.inspection.slugs import note
from mailrelay.model.finding import Check, Finding, Verdict

_PROGRAMS = (
    "application/x-dosexec application/vnd.microsoft.portable-executable application/x-msdownload application/x-executable "
    "application/x-pie-executable application/x-sharedlib application/x-object application/x-elf application/x-mach-binary "
    "application/x-msi application/x-ms-shortcut application/x-java-applet application/java-archive application/x-setupscript "
    "application/vnd.android.package-archive application/x-ms-ne-executable application/x-com application/vnd.ms-htmlhelp"
)
_SCRIPTS = (
    "text/x-shellscript text/x-python text/x-script.python text/x-perl text/x-php text/x-ruby text/x-msdos-batch text/javascript "
    "application/javascript application/x-javascript text/x-lua text/x-tcl text/x-powershell text/vbscript text/x-awk"
)
_EXECUTABLE = frozenset(_PROGRAMS.split())
_SCRIPT = frozenset(_SCRIPTS.split())
_TEXT = re.compile(r"text/|application/(?:json|xml|csv|x-ndjson|x-wine-extension-ini)|message/|inode/x-empty")

# What libmagic may say of a file with this extension: prefixes of types.
_EXPECTED: dict[str, tuple[str, ...]] = {
    "pdf": ("application/pdf",),
    "doc": (
        "application/msword",
        "application/vnd.ms",
        "application/cdfv2",
        "application/x-ole",
        "text/rtf",
        "application/rtf",
    ),
    "xls": ("application/vnd.ms", "application/cdfv2", "application/x-ole", "text/"),
    "ppt": ("application/vnd.ms", "application/cdfv2", "application/x-ole"),
    "docx": ("application/vnd.openxmlformats", "application/zip", "application/encrypted", "application/cdfv2"),
    "xlsx": ("application/vnd.openxmlformats", "application/zip", "application/encrypted", "application/cdfv2"),
    "pptx": ("application/vnd.openxmlformats", "application/zip", "application/encrypted", "application/cdfv2"),
    "odt": ("application/vnd.oasis", "application/zip"),
    "ods": ("application/vnd.oasis", "application/zip"),
    "odp": ("application/vnd.oasis", "application/zip"),
    "zip": ("application/zip", "application/x-zip", "application/java-archive", "application/vnd."),
    "rar": ("application/x-rar", "application/vnd.rar"),
    "7z": ("application/x-7z",),
    "gz": ("application/gzip", "application/x-gzip"),
    "tar": ("application/x-tar",),
    "jpg": ("image/jpeg",),
    "jpeg": ("image/jpeg",),
    "png": ("image/png",),
    "gif": ("image/gif",),
    "bmp": ("image/",),
    "tif": ("image/tiff",),
    "tiff": ("image/tiff",),
    "rtf": ("text/rtf", "application/rtf"),
    "mp3": ("audio/",),
    "mp4": ("video/", "audio/"),
    "txt": ("text/", "application/", "inode/x-empty", "message/"),
}
_EXPECTED |= {"docm": _EXPECTED["docx"], "xlsm": _EXPECTED["xlsx"], "pptm": _EXPECTED["pptx"]}
_DECLARED = ("application/pdf", "image/jpeg", "image/png", "image/gif", "image/tiff")
_UNKNOWN = frozenset(("application/octet-stream", "text/plain", "inode/x-empty", ""))


@cache
def _magic() -> Any:
    import magic

    return magic.Magic(mime=True)


def type_of(head: bytes) -> str:
    """Return the MIME type that libmagic sees in the first bytes of a file."""
    return str(_magic().from_buffer(head))[:255]


def check(file: File) -> list[Finding]:
    """Judge one attachment's type against its names and its declared type."""
    attachment = file.attachment

    def found(verdict: Verdict, detail: str, **more: Any) -> Finding:
        facts = {"part": attachment.part, "type": attachment.type, "declared": attachment.declared}
        return note(Check.TYPE, verdict, detail, attachment.name, **facts, **more)

    findings: list[Finding] = []
    if attachment.type in _EXECUTABLE or _runs(file.head):
        findings.append(found(Verdict.FAIL, "executable"))
    elif attachment.type in _SCRIPT or file.head.startswith(b"#!"):
        findings.append(found(Verdict.FAIL, "script"))
    wrong = next(
        (name for name in attachment.names if not _fits(names.extension(name), attachment.type, file.head)), None
    )
    if wrong is not None:
        findings.append(found(Verdict.POLICY, "mismatch-name", extension=names.extension(wrong)))
    if attachment.declared in _DECLARED and attachment.type not in _UNKNOWN and attachment.type != attachment.declared:
        findings.append(found(Verdict.POLICY, "mismatch-declared"))
    other = _second_type(file)
    if other:
        findings.append(found(Verdict.FAIL, "polyglot", also=other))
    return findings


def _runs(head: bytes) -> bool:
    """Programs that libmagic takes for data when their header is foul."""
    return head.startswith((b"\x7fELF", b"\xca\xfe\xba\xbe")) or (head[:2] == b"MZ" and len(head) > 64)


def _fits(extension: str, kind: str, head: bytes) -> bool:
    expected = _EXPECTED.get(extension)
    if expected is None or kind in ("inode/x-empty",):
        return True
    if kind.startswith(expected):
        return True
    # libmagic calls foul or unknown content data or text; the magic bytes then decide.
    return kind == "application/octet-stream" and _starts_as(extension, head)


def _starts_as(extension: str, head: bytes) -> bool:
    if extension == "pdf":
        return b"%PDF-" in head[:1024]
    if extension in ("doc", "xls", "ppt"):
        return head.startswith(b"\xd0\xcf\x11\xe0")
    if extension in ("docx", "xlsx", "pptx", "zip", "odt", "ods", "odp", "docm", "xlsm", "pptm"):
        return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))
    return extension in ("txt", "mp3", "mp4")


def _second_type(file: File) -> str:
    """Return what else the bytes can be read as: a ZIP directory at the end, a PDF, HTML or program further in, or ""."""
    kind = file.attachment.type
    is_zip = file.head.startswith((b"PK\x03\x04", b"PK\x05\x06"))
    if not is_zip and b"PK\x05\x06" in file.tail and not file.head.startswith(b"MZ"):
        return "application/zip"
    if kind != "application/pdf" and not _TEXT.match(kind) and b"%PDF-" in file.head[:1024]:
        return "application/pdf"
    if kind.startswith(("image/", "application/pdf")) and b"<script" in file.head[:4096].lower():
        return "text/html"
    return ""
