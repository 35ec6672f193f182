"""Names of attachments: every variant that a mail program may show, and the tricks played with them. Pure."""

from __future__ import annotations

import re
import unicodedata

from mailrelay.inspection import parameters
from mailrelay.inspection.mime import Part
from mailrelay.inspection.slugs import note
from mailrelay.model.finding import Check, Finding, Verdict

# What Windows, macOS and Linux desktops run or mount on a double click, and what script hosts take.
_RUN = (
    "exe com scr pif cpl msi msp mst bat cmd ps1 psm1 ps1xml vbs vbe js jse mjs ws wsf wsc wsh hta chm hlp lnk url scf inf reg jar "
    "jnlp class dll ocx sys drv app command scpt applescript workflow pkg dmg iso img vhd vhdx udl xll appx msix appxbundle gadget "
    "msixbundle application appref-ms msc diagcab settingcontent-ms library-ms search-ms sct shb shs job run elf desktop sh bash "
    "csh deb rpm apk py pyc pyw pyz pl rb php svgz ade adp mde accde mad maf mag mam maq mar mas mat mau mav maw mda mdt mdw mdz "
    "ops prf xbap theme themepack website vb vbp cab "
    "rdp iqy oqy dqy rqy one onepkg wll bas msu hpj isp ins its ksh msh msh1 msh2 mshxml ps2 ps2xml psc1 psc2 psd1 psdm1 cdxml "
    "pssc vsmacros vsw diagcfg diagpkg appcontent-ms fxp prg osd plg pcd xnk htc ppkg"
)
_PAPERS = (
    "pdf doc docx docm dot dotx rtf odt xls xlsx xlsm xlsb csv ods ppt pptx pps ppsx odp txt jpg jpeg png gif bmp tif tiff zip rar "
    "7z htm html xml eml msg mp3 mp4 avi dwg vsd wps edxml p7m p7s asc sig"
)
EXECUTABLE = frozenset(_RUN.split())
DOCUMENT = frozenset(_PAPERS.split())
_DEVICES = frozenset(
    ("con", "prn", "aux", "nul", "conin$", "conout$", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10)))
)
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_TURNING = re.compile("[\u202d\u202e\u2066-\u2068\u202a\u202b]")
_INVISIBLE = re.compile(
    "[\x01-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200d\u2060-\u2064\u3164\ufeff\uffa0]"
)
_UNSHOWN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\u3164\ufeff\uffa0]"
)
_NUL = "\u2400"  # what `fields.tidy` puts in the place of a NUL
_DRIVE = re.compile(r"[A-Za-z]:")
_FOLDERS = re.compile(r"[/\\]")
_LONGEST = 255


def variants(part: Part) -> list[str]:
    """Return every name that a reader may take for a part, without doubles, at most 20."""
    return _variants(part, [*part.disposition.variants("filename"), *part.type.variants("name")])


def named(part: Part) -> tuple[str, list[str]]:
    """Return the name that most readers show (Content-Disposition before Content-Type, RFC 2231 before plain) and all variants."""
    first, second = part.disposition.variants("filename"), part.type.variants("name")
    preferred = next((name for name in (*reversed(first), *reversed(second)) if name), "")
    return preferred, _variants(part, [*first, *second])


def _variants(part: Part, found: list[str]) -> list[str]:
    for field, name in (("content-disposition", "filename"), ("content-type", "name")):
        for again in part.block.all(field)[1:5]:  # a second field, which some readers prefer
            found += parameters.parse(again.value).variants(name)
    return [name[:1000] for name in dict.fromkeys(found) if name][:20]


def _is_plain(name: str) -> bool:
    """Whether a name has nothing that is hidden, turns the line, or could be written in another way."""
    return name.isascii() and name.isprintable()


def shown(name: str) -> str:
    """Return a name that is safe to print: control, bidirectional and invisible characters as \\uXXXX."""
    if _is_plain(name):
        return name[:_LONGEST]
    return _UNSHOWN.sub(lambda match: f"\\u{ord(match.group()):04x}", name)[:_LONGEST]


def extension(name: str) -> str:
    """Return the extension that a computer acts on: behind the last dot, lower case, as Windows trims it."""
    plain = _is_plain(name)
    bare = name if plain else _BIDI.sub("", _INVISIBLE.sub("", name)).split(_NUL)[0]
    bare = _FOLDERS.split(bare.rstrip(". \t\u00a0"))[-1].split(":")[0]  # "a.txt:b.exe" names a stream of a.txt
    suffix = (bare if plain else unicodedata.normalize("NFKC", bare)).rpartition(".")
    return suffix[2].strip().lower() if suffix[1] else ""


def bare(name: str) -> str:
    """Return a name without the folders before it."""
    return _FOLDERS.split(name.rstrip("/\\"))[-1]


def _words(name: str) -> list[str]:
    """The parts of a bare name between its dots, trimmed and in lower case."""
    plain = _is_plain(name)
    bare = _FOLDERS.split(name if plain else _BIDI.sub("", _INVISIBLE.sub("", name)))[-1].rstrip(". ")
    return [word.strip().lower() for word in (bare if plain else unicodedata.normalize("NFKC", bare)).split(".")]


def _has_double_extension(name: str) -> bool:
    """A document's extension before a program's ("a.pdf.exe"), also with blanks in between."""
    words = _words(name)
    return len(words) > 2 and words[-1] in EXECUTABLE and words[-2] in DOCUMENT


def _ends_oddly(name: str) -> bool:
    return name != name.rstrip(". \u00a0\u3000") and bool(name.strip(". "))


def _is_device(name: str) -> bool:
    return _words(name)[0] in _DEVICES


def _has_path(name: str) -> bool:
    return "/" in name or "\\" in name or name in (".", "..") or _DRIVE.match(name) is not None


_TRICKS = (
    ("double-extension", Verdict.FAIL, _has_double_extension),
    ("executable-extension", Verdict.FAIL, lambda name: extension(name) in EXECUTABLE),
    ("right-to-left-override", Verdict.FAIL, lambda name: _TURNING.search(name) is not None),
    ("zero-width", Verdict.POLICY, lambda name: _INVISIBLE.search(name) is not None),
    ("trailing-dot", Verdict.POLICY, _ends_oddly),
    ("device-name", Verdict.FAIL, _is_device),
    ("path", Verdict.POLICY, _has_path),
    ("null-byte", Verdict.FAIL, lambda name: _NUL in name),
)


_PLAIN_TRICKS = tuple(one for one in _TRICKS if one[0] not in ("right-to-left-override", "zero-width", "null-byte"))


def tricks(name: str) -> list[tuple[str, Verdict]]:
    """Return the slugs and verdicts of every trick in one name."""
    possible = _PLAIN_TRICKS if _is_plain(name) else _TRICKS
    return [(slug, verdict) for slug, verdict, played in possible if name and played(name)]


def _same(left: str, right: str) -> bool:
    """Names that readers show alike: case, blanks and what cannot be encoded do not count."""
    return "".join(left.split()).casefold() == "".join(right.split()).casefold()


def check(name: str, others: tuple[str, ...], part: str) -> list[Finding]:
    """Judge all variants of one attachment's name; the worst counts. `name` is the shown form and the findings' subject."""
    found: dict[str, Finding] = {}
    for variant in others:
        for slug, verdict in tricks(variant):
            found.setdefault(slug, note(Check.NAME, verdict, slug, name, part=part, variant=shown(variant)))
    extensions = {extension(variant) for variant in others} if len(others) > 1 else ()
    if len(extensions) > 1 and any(not _same(others[0], other) for other in others[1:]):
        verdict = Verdict.FAIL if EXECUTABLE.intersection(extensions) else Verdict.POLICY
        found["variants-differ"] = note(
            Check.NAME, verdict, "variants-differ", name, part=part, variants=[shown(variant) for variant in others]
        )
    return list(found.values())
