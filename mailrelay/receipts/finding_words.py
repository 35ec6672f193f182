"""What each finding means, in one clause: a table by check and slug. Data; the slugs are those of `inspection.slugs`."""

from __future__ import annotations

from collections.abc import Mapping

from mailrelay.model.finding import Check
from mailrelay.model.rule import Text

_WORKERS = {
    "worker-killed": Text("việc kiểm tra bị dừng vì quá nặng", "the check was stopped"),
    "time-limit": Text("chưa kiểm tra: hết thời gian", "not checked: out of time"),
    "check-error": Text("không kiểm tra được", "could not be checked"),
}
_FILE = {
    "damaged": Text("tệp hỏng, không đọc được", "the file is damaged"),
    "too-big": Text("tệp quá lớn, không kiểm tra được", "too big to be checked"),
    "encrypted": Text("tệp có mật khẩu, không kiểm tra được", "encrypted, cannot be checked"),
}

FINDINGS: Mapping[Check, Mapping[str, Text]] = {
    Check.STRUCTURE: {
        "duplicate-field": Text("dòng tiêu đề bị lặp", "a header field stands several times"),
        "loop": Text("thư chạy vòng giữa các máy chủ", "the mail runs in a circle"),
        "no-from": Text("thiếu địa chỉ người gửi (From)", "no author address"),
        "two-from": Text("có nhiều địa chỉ người gửi (From)", "several author addresses"),
        "malformed": Text("cấu trúc thư sai chuẩn", "malformed"),
        "eight-bit-header": Text("tiêu đề có ký tự chưa mã hóa", "unencoded letters in the header"),
        "no-message-id": Text("thiếu mã Message-ID", "no Message-ID"),
        "too-deep": Text("thư lồng quá nhiều lớp", "nested too deep"),
        "too-many-parts": Text("thư có quá nhiều phần", "too many parts"),
        "long-line": Text("có dòng quá dài", "a line is too long"),
        "empty": Text("thư trống", "empty"),
        "hidden-text": Text("trong thư có chữ bị giấu, người đọc không thấy", "text that a reader does not see"),
        **_WORKERS,
    },
    Check.NAME: {
        "double-extension": Text("tên tệp có hai đuôi, che đuôi thật", "a second extension hides the true one"),
        "executable-extension": Text("đuôi tệp là chương trình chạy được", "an extension that a computer runs"),
        "right-to-left-override": Text("tên tệp có ký tự đảo chiều chữ", "the name is turned around by hidden letters"),
        "zero-width": Text("tên tệp có ký tự ẩn", "hidden letters in the name"),
        "trailing-dot": Text("tên tệp kết thúc bằng dấu chấm hoặc dấu cách", "the name ends in a dot or blank"),
        "device-name": Text("tên tệp trùng tên thiết bị của Windows", "a device name of Windows"),
        "path": Text("tên tệp chứa đường dẫn", "the name holds a path"),
        "variants-differ": Text("mỗi phần mềm thư sẽ hiện một tên khác nhau", "programs would show different names"),
        "null-byte": Text("tên tệp có ký tự NUL", "a NUL in the name"),
    },
    Check.TYPE: {
        "executable": Text("tệp là chương trình", "a program"),
        "script": Text("tệp là kịch bản chạy được", "a script"),
        "mismatch-name": Text("nội dung không đúng với đuôi tệp", "the content is not what the name says"),
        "mismatch-declared": Text("nội dung không đúng với loại khai báo", "the content is not what was declared"),
        "scan": Text("bản quét (ảnh), không có lớp chữ để tìm kiếm", "scanned pages without a text layer"),
        "polyglot": Text("tệp đọc được như hai loại khác nhau", "readable as two types"),
        **_WORKERS,
    },
    Check.ARCHIVE: {
        "nested": Text("tệp nén lồng quá nhiều lớp", "archives nested too deep"),
        "too-many": Text("tệp nén có quá nhiều tệp con", "too many files in the archive"),
        "ratio": Text("giải nén ra quá lớn (bom nén)", "an archive bomb"),
        "active-member": Text(
            "trong tệp nén có văn bản chứa macro, mã lệnh hoặc đối tượng nhúng", "active content inside"
        ),
        "dangerous-member": Text("trong tệp nén có tệp nguy hiểm", "a dangerous file in the archive"),
        **_FILE,
        **_WORKERS,
    },
    Check.MACRO: {
        "macros": Text("có macro", "holds macros"),
        "macros-hidden": Text("có macro ẩn dưới đuôi tệp thường", "holds hidden macros"),
        "macros-damaged": Text("có macro hỏng hoặc cố ý làm sai, không xem được", "holds damaged macros"),
        "excel4-macros": Text("có macro kiểu cũ của Excel (XLM)", "holds Excel 4 macros (XLM)"),
        "remote-template": Text("tự tải mẫu từ nơi khác khi mở", "loads a template from elsewhere"),
        "active-content": Text("có chương trình, đối tượng hoặc liên kết nhúng", "holds embedded objects or links"),
        **_FILE,
        **_WORKERS,
    },
    Check.PDF_ACTIVE: {
        "javascript": Text("có mã JavaScript", "holds JavaScript"),
        "launch": Text("tự chạy chương trình", "starts a program"),
        "open-action": Text("tự thực hiện lệnh khi mở", "acts when opened"),
        "embedded-file": Text("có tệp khác nhúng bên trong", "holds other files"),
        "rich-media": Text("có phim, âm thanh hoặc hình 3D", "holds media"),
        "submit-form": Text("gửi dữ liệu đến địa chỉ khác", "sends data elsewhere"),
        "xfa": Text("có biểu mẫu XFA", "holds an XFA form"),
        **_FILE,
        **_WORKERS,
    },
    Check.DKIM: {
        "good": Text("đúng, thư không bị sửa trên đường", "good"),
        "weak-key": Text("đúng, khóa ngắn hơn 2048 bit", "good, short key"),
        "body-changed": Text("nội dung đã bị thay đổi sau khi ký", "the body was changed"),
        "bad-signature": Text("không khớp với thư", "does not match"),
        "partial-body": Text("chỉ ký một phần nội dung", "only part of the body is signed"),
        "duplicate-field": Text("có dòng tiêu đề bị lặp ngoài phần đã ký", "an unsigned duplicate field"),
        "test-key": Text("tên miền ký đang thử nghiệm", "the signing domain is testing"),
        "short-key": Text("khóa ngắn hơn 1024 bit", "key too short"),
        "weak-algorithm": Text("thuật toán SHA-1 đã cũ", "SHA-1"),
        "expired": Text("đã hết hạn", "expired"),
        "future": Text("thời điểm ký ở tương lai", "dated in the future"),
        "no-key": Text("tên miền ký không công bố khóa này", "no such key"),
        "key-revoked": Text("khóa đã bị thu hồi", "key revoked"),
        "key-unusable": Text("khóa công bố không dùng được", "key unusable"),
        "malformed-signature": Text("chữ ký sai chuẩn", "malformed"),
        "too-many-signatures": Text("quá nhiều chữ ký", "too many signatures"),
        "dns-failure": Text("chưa tra được khóa", "key not available now"),
        **_WORKERS,
    },
    Check.OPENPGP: {
        "good": Text("hợp lệ, khóa của cơ quan gửi", "good, by the agency's key"),
        "bad-signature": Text("không khớp với nội dung đã ký", "does not match"),
        "unknown-key": Text("khóa ký không có trong danh mục của tỉnh", "unknown key"),
        "expired-key": Text("khóa ký đã hết hạn", "key expired"),
        "revoked-key": Text("khóa ký đã bị thu hồi", "key revoked"),
        "expired-signature": Text("chữ ký đã hết hạn", "signature expired"),
        "future": Text("thời điểm ký ở tương lai", "dated in the future"),
        "other-agency": Text("khóa của cơ quan khác", "key of another agency"),
        "weak-algorithm": Text("thuật toán băm đã cũ", "old algorithm"),
        "several-signatures": Text("nhiều chữ ký trong một khối, chưa kết luận", "several signatures, not judged"),
        "partial-body": Text("thư có phần nằm ngoài chữ ký", "part of the mail is unsigned"),
        "not-inspectable": Text("dạng khối OpenPGP chưa kiểm tra được", "form not checked"),
        "malformed-signature": Text("chữ ký không đọc được", "unreadable"),
        "unavailable": Text("chưa thiết lập để kiểm tra", "not set up"),
        "encrypted": Text("thư đã mã hóa, không kiểm tra được", "encrypted, cannot be checked"),
        **_WORKERS,
    },
    Check.PDF: {
        "unsigned": Text("không có chữ ký số", "no digital signature"),
        "person": Text("có chữ ký số cá nhân, chưa có chữ ký số cơ quan", "signed by a person, not by an agency"),
        "agency": Text("có chữ ký số cơ quan, chưa có chữ ký số cá nhân", "signed by an agency, not by a person"),
        "both": Text("có đủ chữ ký số cá nhân và cơ quan", "signed by a person and by an agency"),
        "good": Text("chữ ký số hợp lệ, chứng thư tin cậy", "good and trusted"),
        "modified-after-signing": Text("tệp bị sửa sau khi ký", "changed after signing"),
        "broken": Text("chữ ký số không khớp với tệp", "does not match the file"),
        "untrusted": Text("chứng thư không do tổ chức tin cậy cấp", "certificate of no trusted issuer"),
        "expired": Text("chứng thư hết hạn khi ký", "certificate expired when signed"),
        "revoked": Text("chứng thư đã bị thu hồi", "certificate revoked"),
        "revoked-later": Text(
            "hợp lệ khi ký, chứng thư bị thu hồi sau đó", "valid when signed, certificate given up later"
        ),
        "revocation-unknown": Text(
            "hợp lệ, nhưng hiện chưa biết chứng thư có bị thu hồi hay không", "good, but revocation is not known now"
        ),
        "copy": Text("bản sao điện tử (sao y) có chữ ký số cơ quan", "an electronic copy signed by an agency"),
        "weak-algorithm": Text("hợp lệ khi ký, thuật toán cũ", "valid when signed, old algorithm"),
        "too-many": Text("quá nhiều chữ ký, không kiểm tra hết", "too many signatures"),
        **_FILE,
        **_WORKERS,
    },
    Check.SPF: {
        "authorised": Text("máy chủ gửi được tên miền cho phép", "the server may send for the domain"),
        "not-authorised": Text("máy chủ gửi không được tên miền cho phép", "the server may not send for the domain"),
        "softfail": Text(
            "máy chủ gửi có lẽ không được tên miền cho phép", "the server probably may not send for the domain"
        ),
        "neutral": Text("tên miền không nói rõ về máy chủ gửi", "the domain does not say"),
        "no-record": Text("tên miền không công bố danh sách máy chủ gửi", "the domain lists no servers"),
        "malformed-record": Text(
            "danh sách máy chủ gửi của tên miền sai quy cách", "the domain's list of servers is malformed"
        ),
        "too-many-lookups": Text(
            "danh sách máy chủ gửi của tên miền quá phức tạp", "the domain's list of servers is too long"
        ),
        "dns-failure": Text("chưa tra cứu được danh sách máy chủ gửi", "the list could not be looked up"),
    },
    Check.DMARC: {
        "aligned": Text("tên miền người gửi xác nhận thư này", "the author's domain vouches for the mail"),
        "not-aligned": Text(
            "không có gì chứng thực thư đúng là của tên miền người gửi", "nothing proves the author's domain"
        ),
        "no-record": Text("tên miền người gửi không công bố chính sách", "the author's domain publishes no policy"),
        "several-authors": Text(
            "nhiều người gửi (From) nên không chứng thực được", "several authors, none can be proved"
        ),
        "malformed-record": Text("chính sách của tên miền người gửi sai quy cách", "the policy is malformed"),
        "dns-failure": Text("chưa tra cứu được chính sách của tên miền người gửi", "the policy could not be looked up"),
    },
    Check.ARC: {
        "good": Text("chuỗi chuyển tiếp còn nguyên vẹn", "the chain of forwarders is unbroken"),
        "broken": Text("chuỗi chuyển tiếp bị đứt", "the chain of forwarders is broken"),
        "malformed": Text("chuỗi chuyển tiếp sai quy cách", "the chain is malformed"),
        "dns-failure": Text(
            "chưa tra cứu được khóa của chuỗi chuyển tiếp", "a key of the chain could not be looked up"
        ),
    },
    Check.SMIME: {
        "good": Text("chữ ký hợp lệ của người gửi", "a good signature of the author"),
        "bad-signature": Text("chữ ký không khớp với nội dung thư", "the signature does not match"),
        "untrusted": Text("chứng thư không do tổ chức được tin cậy cấp", "the certificate's CA is not trusted"),
        "expired": Text("chứng thư không còn hạn khi ký", "the certificate was not valid when signing"),
        "revoked": Text("chứng thư đã bị thu hồi", "the certificate was revoked"),
        "revocation-unknown": Text(
            "hợp lệ, nhưng hiện chưa biết chứng thư có bị thu hồi hay không", "good, but revocation is not known now"
        ),
        "weak-algorithm": Text("ký bằng thuật toán cũ", "signed with an old algorithm"),
        "other-signer": Text(
            "chữ ký hợp lệ nhưng chứng thư không phải của người gửi", "a good signature, but not the author's"
        ),
        "partial-body": Text("thư có phần nằm ngoài chữ ký", "the mail shows more than was signed"),
        "several-signatures": Text(
            "nhiều chữ ký trong một khối, có chữ ký không đạt", "several signatures, not all of them good"
        ),
        "malformed-signature": Text("không đọc được khối chữ ký", "the signature block cannot be read"),
        "encrypted": Text("thư mã hóa S/MIME, không kiểm tra được", "encrypted, cannot be checked"),
        "too-big": Text("thư quá lớn, không kiểm tra được chữ ký", "too big to be checked"),
        **_WORKERS,
    },
    Check.OOXML: {
        "not-verified": Text("có chữ ký số, chưa kiểm tra", "signed, not verified"),
    },
    Check.XML: {
        "good": Text("chữ ký số hợp lệ cho toàn bộ tệp", "a good signature over the whole file"),
        "bad-signature": Text("chữ ký số không khớp với tệp", "does not match the file"),
        "partial-body": Text("tệp có phần nằm ngoài chữ ký", "part of the file is unsigned"),
        "untrusted": Text("chứng thư không do tổ chức tin cậy cấp", "certificate of no trusted issuer"),
        "expired": Text("chứng thư hết hạn khi ký", "certificate expired when signed"),
        "revoked": Text("chứng thư đã bị thu hồi", "certificate revoked"),
        "revoked-later": Text(
            "hợp lệ khi ký, chứng thư bị thu hồi sau đó", "valid when signed, certificate given up later"
        ),
        "revocation-unknown": Text(
            "hợp lệ, nhưng hiện chưa biết chứng thư có bị thu hồi hay không", "good, but revocation is not known now"
        ),
        "weak-algorithm": Text("hợp lệ khi ký, thuật toán cũ", "valid when signed, old algorithm"),
        "no-certificate": Text("chữ ký không kèm chứng thư, không biết ai ký", "no certificate, the signer is unknown"),
        "external-reference": Text("chữ ký trỏ ra ngoài tệp, không tải về", "signs something elsewhere, not fetched"),
        "forbidden-transform": Text("chữ ký dùng phép biến đổi không được phép", "a transform that is not allowed"),
        "ambiguous-reference": Text("chữ ký trỏ tới nhiều phần trùng tên", "several elements bear the signed name"),
        "dtd": Text("tệp kèm định nghĩa (DTD) đổi được nội dung, không đọc", "brings a DTD, not read"),
        "malformed-signature": Text("chữ ký không đọc được", "unreadable"),
        "too-many": Text("quá nhiều chữ ký, không kiểm tra hết", "too many signatures"),
        "damaged": _FILE["damaged"],
        "too-big": _FILE["too-big"],
        **_WORKERS,
    },
    Check.ANTIVIRUS: {
        "malware": Text("có mã độc", "malicious code"),
        "clean": Text("không thấy mã độc", "no malicious code"),
        "not-scanned": Text("chưa quét được mã độc", "not scanned"),
    },
    Check.SPAM: {
        "spam": Text("bộ lọc cho là thư rác", "the spam filter calls it spam"),
        "suspicious": Text("bộ lọc thư rác còn nghi ngờ", "the spam filter has doubts"),
        "ham": Text("bộ lọc cho là không phải thư rác", "the spam filter has nothing against it"),
        "not-judged": Text("bộ lọc thư rác không xét thư này", "not judged by the spam filter"),
        "too-big": Text("thư quá lớn, bộ lọc thư rác không xét", "too big for the spam filter"),
        "unavailable": Text("chưa hỏi được bộ lọc thư rác", "the spam filter could not be asked"),
    },
    Check.SENDER: {
        "from-differs": Text("địa chỉ ở ô Từ không phải của người gửi", "the author is not the sender"),
        "display-name-imitates": Text("tên hiển thị giống cơ quan, địa chỉ thì không", "the name imitates an agency"),
        "look-alike-domain": Text("tên miền người gửi trông giống tên miền của tỉnh", "a domain that looks like ours"),
    },
    Check.SECRECY: {
        "confidential": Text("có dấu MẬT", "marked MẬT"),
        "secret": Text("có dấu TỐI MẬT", "marked TỐI MẬT"),
        "top-secret": Text("có dấu TUYỆT MẬT", "marked TUYỆT MẬT"),
    },
}

# Why a signature does not speak for all that is shown (the fact `reason`).
REASONS: Mapping[str, Text] = {
    "other-parts": Text("thư còn phần khác không được ký", "other parts are not signed"),
    "forwarded": Text("chữ ký nằm trong thư đính kèm", "the signature is in an attached mail"),
    "text-before": Text("có chữ đứng trước phần đã ký", "text before what was signed"),
    "text-after": Text("có chữ đứng sau phần đã ký", "text behind what was signed"),
    "two-structures": Text("tiêu đề tả hai cấu trúc khác nhau", "the header describes two structures"),
    "ambiguous-structure": Text("mỗi phần mềm đọc một kiểu", "programs read its structure differently"),
    "hidden-text": Text("có chữ bị giấu", "hidden words"),
    "conditional-text": Text("có chữ chỉ hiện ở một phần mềm", "words for one program only"),
    "remote-content": Text("có nội dung tải từ nơi khác", "content from elsewhere"),
    "too-long": Text("nội dung quá dài để xem hết", "too long to be looked at"),
    "armor-text": Text("có chữ thêm vào khối chữ ký", "words in the signature's own header"),
    "charset": Text("bảng mã chữ không được ký", "the character set is not signed"),
    "unsigned-text": Text("tệp còn nội dung không được ký", "the file says more than was signed"),
    "comments": Text("có chú thích không được ký", "comments that are not signed"),
    "instructions": Text("có chỉ dẫn trình bày không được ký", "a style sheet that is not signed"),
    "inline": Text("chữ ký nằm trong HTML", "the signature is inside HTML"),
    "content-inside": Text("khối chữ ký mang nội dung riêng", "the block brings content of its own"),
    "too-big": Text("quá lớn", "too big"),
    "signature-without-field": Text("ô chữ ký đã bị gỡ", "the signature's field was taken away"),
    "uuencode": Text("có tệp viết trong thân thư", "a file written into the text"),
}
WRONG_CLOCK = Text("đồng hồ máy ký sai", "the signer's clock is wrong")
STALE = Text("danh sách thu hồi đã cũ {} giờ", "the revocation list is {} hours old")
AGENCY_FIRST = Text("cơ quan ký trước cá nhân", "the agency signed before the person")
