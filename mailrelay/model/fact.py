"""The words in which the province writes its rules: facts, obligations, placeholders. Data only.

A rule that uses a word not in these tables does not load. `policy.facts` finds the values; the defaults are those of an
ordinary letter from one agency of the province to another, and stand for what a rule test does not mention.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from mailrelay.model.agency import Level, Role
from mailrelay.model.decision import Action
from mailrelay.model.document import Kind, MessageClass, Secrecy, Urgency
from mailrelay.model.envelope import Door
from mailrelay.model.finding import Check, Verdict
from mailrelay.model.receipt import ReceiptKind

Value = str | int | bool | tuple[str, ...]


class Form(StrEnum):
    """What kind of value a fact has. Numbers and sizes (bytes) and ordered words can be compared."""

    FLAG = "flag"
    NUMBER = "number"
    SIZE = "size"
    WORD = "word"
    WORDS = "words"


@dataclass(frozen=True, slots=True)
class Fact:
    """One named fact. `choices` empty means any word; `ordered` choices stand from the least to the most."""

    name: str
    form: Form
    default: Value
    vi: str
    choices: tuple[str, ...] = ()
    ordered: bool = False

    def rank(self, word: str) -> int:
        """The place of a word among ordered choices; -1 for a strange one."""
        return self.choices.index(word) if word in self.choices else -1


# What inspection can find, by check. The sentences for people belong to inspection and receipts; tests hold the lists together.
_HURDLES = ("worker-killed", "time-limit", "check-error")
_FILE_HURDLES = ("damaged", "too-big", "encrypted", *_HURDLES)
SLUGS: Mapping[Check, tuple[str, ...]] = MappingProxyType(
    {
        Check.STRUCTURE: (
            *("duplicate-field", "no-from", "two-from", "malformed", "eight-bit-header", "no-message-id", "too-deep"),
            *("too-many-parts", "long-line", "empty", "loop", "hidden-text", *_HURDLES),
        ),
        Check.NAME: (
            *("double-extension", "executable-extension", "right-to-left-override", "zero-width", "trailing-dot"),
            *("device-name", "path", "variants-differ", "null-byte"),
        ),
        Check.TYPE: ("executable", "script", "mismatch-name", "mismatch-declared", "polyglot", "scan", *_HURDLES),
        Check.ARCHIVE: ("nested", "too-many", "ratio", "dangerous-member", "active-member", *_FILE_HURDLES),
        Check.MACRO: (
            *("macros", "macros-hidden", "macros-damaged", "excel4-macros", "remote-template", "active-content"),
            *_FILE_HURDLES,
        ),
        Check.PDF_ACTIVE: (
            *("javascript", "launch", "open-action", "embedded-file", "rich-media", "submit-form", "xfa"),
            *_FILE_HURDLES,
        ),
        Check.DKIM: (
            *("good", "weak-key", "body-changed", "bad-signature", "partial-body", "duplicate-field", "test-key"),
            *("short-key", "weak-algorithm", "expired", "future", "no-key", "key-revoked", "key-unusable"),
            *("malformed-signature", "too-many-signatures", "dns-failure", *_HURDLES),
        ),
        Check.OPENPGP: (
            *("good", "bad-signature", "unknown-key", "expired-key", "revoked-key", "expired-signature", "future"),
            *("other-agency", "weak-algorithm", "several-signatures", "partial-body", "not-inspectable"),
            *("malformed-signature", "unavailable", "encrypted", *_HURDLES),
        ),
        Check.PDF: (
            *("unsigned", "person", "agency", "both", "good", "modified-after-signing", "broken", "untrusted"),
            *("expired", "revoked", "revoked-later", "revocation-unknown", "weak-algorithm", "copy", "too-many"),
            *_FILE_HURDLES,
        ),
        Check.SPF: (
            "authorised",
            "not-authorised",
            "softfail",
            "neutral",
            "no-record",
            "malformed-record",
            "too-many-lookups",
            "dns-failure",
        ),
        Check.DMARC: ("aligned", "not-aligned", "no-record", "several-authors", "malformed-record", "dns-failure"),
        Check.ARC: ("good", "broken", "malformed", "dns-failure"),
        Check.SMIME: (
            "good",
            "bad-signature",
            "untrusted",
            "expired",
            "revoked",
            "revocation-unknown",
            "weak-algorithm",
            "other-signer",
            "partial-body",
            "several-signatures",
            "malformed-signature",
            "encrypted",
            "too-big",
            *_HURDLES,
        ),
        Check.OOXML: ("not-verified",),
        Check.XML: (
            *("good", "bad-signature", "partial-body", "untrusted", "expired", "revoked", "revoked-later"),
            *(
                "revocation-unknown",
                "weak-algorithm",
                "no-certificate",
                "external-reference",
                "forbidden-transform",
                "ambiguous-reference",
            ),
            *("dtd", "malformed-signature", "too-many", "damaged", "too-big", *_HURDLES),
        ),
        Check.SENDER: ("from-differs", "display-name-imitates", "look-alike-domain"),
        Check.SECRECY: ("confidential", "secret", "top-secret"),
        Check.SPAM: ("spam", "suspicious", "ham", "not-judged", "too-big", "unavailable"),
        Check.ANTIVIRUS: ("malware", "clean", "not-scanned"),
    }
)
FINDINGS: tuple[str, ...] = tuple(f"{check}:{slug}" for check, slugs in SLUGS.items() for slug in slugs)

# The worst of several findings of one check stands for the check. Nothing found is `none`.
VERDICTS_BY_WORTH: tuple[Verdict, ...] = (
    Verdict.PASS,
    Verdict.NONE,
    Verdict.NEUTRAL,
    Verdict.PARTIAL,
    Verdict.SOFTFAIL,
    Verdict.POLICY,
    Verdict.TEMPERROR,
    Verdict.PERMERROR,
    Verdict.FAIL,
)


def verdict_fact(check: Check) -> str:
    """The name of the fact that holds the worst verdict of a check: "pdf_active_verdict"."""
    return f"{check.replace('-', '_')}_verdict"


def _flag(name: str, default: bool, vi: str) -> Fact:
    return Fact(name, Form.FLAG, default, vi)


def _number(name: str, default: int, vi: str, form: Form = Form.NUMBER) -> Fact:
    return Fact(name, form, default, vi)


def _word(name: str, default: str, vi: str, choices: Iterable[str] = (), *, ordered: bool = False) -> Fact:
    return Fact(name, Form.WORD, default, vi, tuple(str(choice) for choice in choices), ordered)


def _words(name: str, default: tuple[str, ...], vi: str, choices: Iterable[str] = ()) -> Fact:
    return Fact(name, Form.WORDS, default, vi, tuple(str(choice) for choice in choices))


CIRCULATION = ("internal", "return-after-reading", "recall")
_LEVELS = ("", *Level)

_ORIGIN = (
    _word("door", Door.SUBMISSION, "cửa mà thư đi vào", Door),
    _flag("authenticated", True, "người gửi đã đăng nhập"),
    _word("login", "vanthu", "tên đăng nhập"),
    _flag("tls", True, "đường truyền được mã hóa"),
    _flag("promised", False, "máy chủ đứng trước đã nhận thư và hứa chuyển (vị trí lọc nội dung)"),
    _flag("in_place", False, "thư đã nằm sẵn trong hộp của người nhận (IMAP)"),
    _word("sender", "vanthu@example.gov.vn", "địa chỉ gửi (MAIL FROM), trống là thư báo của máy"),
    _flag("sender_is_null", False, "địa chỉ gửi trống: thư báo của máy chủ"),
    _flag("sender_is_local", True, "địa chỉ gửi thuộc tên miền của tỉnh"),
    _flag("sender_exists", True, "địa chỉ gửi có trong danh bạ"),
    _flag("sender_is_own", True, "địa chỉ gửi thuộc quyền của người đăng nhập"),
    _word("sender_agency", "sender-agency", "mã cơ quan của người gửi"),
    _word("sender_agency_level", Level.PROVINCE, "cấp của cơ quan gửi", _LEVELS),
    _words("sender_role", (Role.CLERK,), "vai trò của hộp thư gửi", Role),
    _number("from_count", 1, "số người trong trường From"),
    _flag("from_is_local", True, "trường From có địa chỉ của tỉnh"),
    _flag("from_is_own", True, "mọi địa chỉ trong From thuộc quyền của người đăng nhập"),
    _flag("from_matches_sender", True, "From trùng với địa chỉ gửi"),
)
_RECIPIENT = (
    _word("recipient", "recipient@example.gov.vn", "địa chỉ nhận"),
    _flag("recipient_is_local", True, "người nhận thuộc tên miền của tỉnh"),
    _flag("recipient_exists", True, "hộp thư nhận có và đang dùng (luôn đúng với địa chỉ ngoài tỉnh)"),
    _word("recipient_agency", "recipient-agency", "mã cơ quan nhận"),
    _word("recipient_agency_level", Level.PROVINCE, "cấp của cơ quan nhận", _LEVELS),
    _words("recipient_role", (Role.CLERK,), "vai trò của hộp thư nhận", Role),
    _flag("same_agency", False, "gửi và nhận cùng một cơ quan"),
)
_DOCUMENT = (
    _number("recipient_count", 1, "số người nhận, nhóm đã được mở ra"),
    _number("outside_count", 0, "số người nhận ngoài tỉnh"),
    _word("class", MessageClass.LETTER, "loại thư: văn bản, trao đổi công việc, thư riêng, biên nhận", MessageClass),
    _word("kind", Kind.OTHER, "nhóm văn bản của kế hoạch", Kind),
    _word("document_type", "", "tên loại viết tắt: KH, QĐ, CV …"),
    _word("urgency", Urgency.NORMAL, "độ khẩn", Urgency, ordered=True),
    _word("secrecy", Secrecy.NONE, "độ mật", Secrecy, ordered=True),
    _flag("has_code", False, "có số và ký hiệu"),
    _flag("paper", False, "có bản giấy gửi kèm"),
    _flag("reply", False, "trả lời một văn bản khác"),
    _words("circulation", (), "dấu chỉ phạm vi lưu hành", CIRCULATION),
    _words("warning", (), "điều chưa rõ khi nhận dạng văn bản"),
)
_CONTENT = (
    _number("attachment_count", 0, "số tệp đính kèm"),
    _number("attachment_size", 0, "tổng kích thước các tệp", Form.SIZE),
    _number("largest_attachment", 0, "kích thước tệp lớn nhất", Form.SIZE),
    _words("attachment_type", (), "kiểu nội dung của các tệp"),
    _words("attachment_extension", (), "đuôi tên của các tệp, chữ thường, không có dấu chấm"),
    _words("finding", (), "điều tìm thấy khi kiểm tra, viết như name:double-extension", FINDINGS),
    _words("passed", (), "các phép kiểm tra có ít nhất một kết quả đạt", Check),
    *(
        _word(
            verdict_fact(check),
            Verdict.NONE,
            f"kết quả xấu nhất của phép kiểm tra {check}",
            VERDICTS_BY_WORTH,
            ordered=True,
        )
        for check in Check
    ),
)
_COURSE = (
    _word(
        "action",
        Action.RELAY,
        "việc mạnh nhất mà các tệp trước đã quyết; chỉ dùng trong quy tắc không có then",
        Action,
        ordered=True,
    ),
)

FACTS: Mapping[str, Fact] = MappingProxyType(
    {fact.name: fact for fact in (*_ORIGIN, *_RECIPIENT, *_DOCUMENT, *_CONTENT, *_COURSE)}
)
RECIPIENT_FACTS: frozenset[str] = frozenset(fact.name for fact in _RECIPIENT)
ACTION_FACT = "action"

OBLIGATIONS: Mapping[str, str] = MappingProxyType(
    {
        **{f"receipt:{kind}": f"gửi biên nhận loại {kind}" for kind in ReceiptKind},
        "alert:security": "báo cán bộ phụ trách an toàn thông tin",
        "warn:sender": "nêu lý do của quy tắc này như một lưu ý cho người gửi",
        "warn:recipient": "nêu lý do của quy tắc này như một lưu ý cho văn thư nơi nhận",
        "forget-content": "không giữ gì của nội dung",
    }
)

PLACEHOLDERS: Mapping[str, str] = MappingProxyType(
    {
        "sender": "địa chỉ gửi",
        "login": "tên đăng nhập",
        "sender_agency": "tên cơ quan gửi",
        "recipient": "địa chỉ nhận",
        "agency": "tên cơ quan nhận",
        "clerk": "hộp thư văn thư của cơ quan nhận",
        "attachment": "tên các tệp mà quy tắc nói tới",
        "code": "số và ký hiệu của văn bản",
        "size": "tổng kích thước các tệp đính kèm",
        "domain": "tên miền của tỉnh",
    }
)
