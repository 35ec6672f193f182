"""The types of administrative and normative documents: Decree 30/2020/NĐ-CP article 7 and annex III, and older circulars. Data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DocumentType:
    """One type: the abbreviation that stands in notations (letters keep their case) and the name that stands as a title."""

    abbreviation: str
    name: str
    aliases: tuple[str, ...] = ()  # other abbreviations that people write; never printed by us
    normative: bool = False  # may be a normative act; then its number holds the year
    in_notation: bool = True  # công văn and thư công have no abbreviation in their notation


TYPES: tuple[DocumentType, ...] = (
    DocumentType("NQ", "Nghị quyết", normative=True),
    DocumentType("QĐ", "Quyết định", normative=True),
    DocumentType("CT", "Chỉ thị", normative=True),
    DocumentType("QC", "Quy chế", ("QCh",)),
    DocumentType("QyĐ", "Quy định"),
    DocumentType("TC", "Thông cáo"),
    DocumentType("TB", "Thông báo"),
    DocumentType("HD", "Hướng dẫn"),
    DocumentType("CTr", "Chương trình"),
    DocumentType("KH", "Kế hoạch"),
    DocumentType("PA", "Phương án"),
    DocumentType("ĐA", "Đề án"),
    DocumentType("DA", "Dự án", ("DAn",)),
    DocumentType("BC", "Báo cáo"),
    DocumentType("BB", "Biên bản"),
    DocumentType("TTr", "Tờ trình"),
    DocumentType("HĐ", "Hợp đồng"),
    DocumentType("CV", "Công văn", in_notation=False),
    DocumentType("CĐ", "Công điện"),
    DocumentType("BGN", "Bản ghi nhớ"),
    DocumentType("BTT", "Bản thỏa thuận"),
    DocumentType("GUQ", "Giấy ủy quyền"),
    DocumentType("GM", "Giấy mời"),
    DocumentType("GGT", "Giấy giới thiệu"),
    DocumentType("GNP", "Giấy nghỉ phép"),
    DocumentType("PG", "Phiếu gửi"),
    DocumentType("PC", "Phiếu chuyển"),
    DocumentType("PB", "Phiếu báo"),
    DocumentType("TCg", "Thư công", in_notation=False),
    # Copies.
    DocumentType("SY", "Sao y"),
    DocumentType("TrS", "Trích sao", ("TS",)),
    DocumentType("SL", "Sao lục"),
    # Circular 01/2011/TT-BNV, in force in 2013.
    DocumentType("BCK", "Bản cam kết"),
    DocumentType("GCN", "Giấy chứng nhận"),
    DocumentType("GĐĐ", "Giấy đi đường"),
    DocumentType("GBN", "Giấy biên nhận hồ sơ"),
    # Normative acts and acts of the state that are no administrative type.
    DocumentType("L", "Lệnh", normative=True),
    DocumentType("PL", "Pháp lệnh", normative=True),
    DocumentType("NĐ", "Nghị định", normative=True),
    DocumentType("TT", "Thông tư", normative=True),
    DocumentType("TTLT", "Thông tư liên tịch", normative=True),
    DocumentType("NQLT", "Nghị quyết liên tịch", normative=True),
    DocumentType("QH", "Luật", normative=True),
)

_NAMES = {document_type.abbreviation: document_type.name for document_type in TYPES}


def type_name(abbreviation: str) -> str:
    """Return the printed name of a type ("KH" gives "Kế hoạch"), or "" when it is unknown."""
    return _NAMES.get(abbreviation, "")
