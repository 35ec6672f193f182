"""mailboxes.yaml: the shipped directory is good and complete; a bad one gets one line for every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailrelay.config import load_directory, shipped_dir
from mailrelay.model.agency import Directory, Level, Role, SecretRef, TargetKind
from mailrelay.model.faults import ConfigFault

GOLDEN = Path(__file__).parent / "golden"

GOOD = """\
version: 1
domain: hoabinh.gov.vn
agencies:
  - {id: stttt, name: Sở TTTT, level: province, symbol: STTTT, clerk: sotttt}
mailboxes:
  - {address: sotttt, name: Văn thư, agency: stttt, roles: [clerk, security_officer], login: sotttt}
system_addresses: {postmaster: sotttt, abuse: sotttt}
"""


@pytest.fixture(scope="module")
def shipped() -> Directory:
    return load_directory(shipped_dir())


def directory_of(folder: Path, text: str) -> Directory:
    (folder / "mailboxes.yaml").write_text(text, "utf-8")
    return load_directory(folder)


def problems_of(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigFault) as fault:
        directory_of(folder, text)
    return fault.value.problems


def test_thirty_four_issuers(shipped: Directory) -> None:
    by_level = {level: [a for a in shipped.agencies if a.level is level] for level in Level}
    assert {level: len(found) for level, found in by_level.items()} == {
        Level.PROVINCE: 23,  # UBND tỉnh and 22 bodies
        Level.DISTRICT: 11,
        Level.COMMUNE: 0,
        Level.OUTSIDE: 0,
    }
    assert {agency.symbol for agency in by_level[Level.DISTRICT]} == {"UBND"}
    assert all(agency.parent == "ubnd-tinh" for agency in shipped.agencies if agency.agency_id != "ubnd-tinh")


def test_the_registry_of_the_office_keeps_two_books(shipped: Directory) -> None:
    kept = shipped.kept_by("vpubnd@hoabinh.gov.vn")
    assert [agency.agency_id for agency in kept] == ["ubnd-tinh", "vpubnd"]
    assert "ubndtinh@hoabinh.gov.vn" in shipped.owned_by("vpubnd")
    assert "sotc@hoabinh.gov.vn" not in shipped.owned_by("vpubnd")


def test_head_counts_are_those_of_the_plan(shipped: Directory) -> None:
    counts = {
        level: sum(c.count for a in shipped.agencies if a.level is level for c in a.head_counts)
        for level in (Level.PROVINCE, Level.DISTRICT)
    }
    assert counts == {Level.PROVINCE: 1300, Level.DISTRICT: 1085}


def test_the_groups_of_the_distribution_list(shipped: Directory) -> None:
    groups = {group.address.partition("@")[0]: group for group in shipped.groups}
    everyone = groups["tat-ca-don-vi"].members
    assert len(everyone) == len(set(everyone)) == 33
    assert everyone == groups["so-ban-nganh"].members + groups["huyen-tp"].members
    assert (len(groups["so-ban-nganh"].members), len(groups["huyen-tp"].members)) == (22, 11)
    assert "ubndtinh@hoabinh.gov.vn" not in everyone
    leaders = [shipped.mailbox(member) for member in groups["lanhdao-ubnd"].members]
    assert all(box and box.agency == "ubnd-tinh" and Role.LEADER in box.roles for box in leaders) and len(leaders) == 4


def test_every_agency_has_a_registry_box_with_a_login(shipped: Directory) -> None:
    for agency in shipped.agencies:
        box = shipped.mailbox(agency.clerk)
        assert box is not None and Role.CLERK in box.roles and box.login and box.enabled


def test_aliases_that_people_type(shipped: Directory) -> None:
    for alias in ("vanthu.sotc", "stc", "so.tc", "STTTT", "so.tttt", "ubnd.luongson"):
        box = shipped.mailbox(f"{alias}@hoabinh.gov.vn")
        assert box is not None and Role.CLERK in box.roles, alias


def test_passwords_are_references(shipped: Directory) -> None:
    for box in shipped.mailboxes:
        assert box.password == (SecretRef("file", f"logins/{box.login}") if box.login else None)
    assert all(
        not account.enabled and [ref.scheme for ref in account.secrets] == ["file"] for account in shipped.imap_accounts
    )


def test_postmaster_abuse_and_a_security_officer(shipped: Directory) -> None:
    assert set(shipped.system_addresses) == {"postmaster", "abuse"}
    officers = [box for box in shipped.mailboxes if Role.SECURITY_OFFICER in box.roles]
    assert [box.agency for box in officers] == ["sotttt"]


def test_maildirs_lie_below_the_data_folder(tmp_path: Path) -> None:
    (tmp_path / "mailrelay.toml").write_text('domain = "hoabinh.gov.vn"\ndata_dir = "kho"\n')
    box = directory_of(tmp_path, GOOD).mailboxes[0]
    assert box.target.path == str(tmp_path / "kho" / "maildir" / "sotttt")


def test_delivery_is_inherited_from_agency_then_defaults(tmp_path: Path) -> None:
    text = GOOD.replace("agencies:", "defaults: {deliver: 'lmtp://10.0.0.1:24'}\nagencies:")
    assert directory_of(tmp_path, text).mailboxes[0].target.host == "10.0.0.1"
    text = text.replace("clerk: sotttt", "clerk: sotttt, deliver: 'smtp://10.0.0.2:25'")
    assert directory_of(tmp_path, text).mailboxes[0].target.host == "10.0.0.2"
    text = text.replace("login: sotttt", "login: sotttt, deliver: maildir")
    assert directory_of(tmp_path, text).mailboxes[0].target.kind is TargetKind.MAILDIR


def test_the_digest_ignores_comments_and_order_of_keys_but_no_value(tmp_path: Path) -> None:
    digest = directory_of(tmp_path, GOOD).digest
    assert directory_of(tmp_path, "# ghi chú\n" + GOOD).digest == digest
    moved = GOOD.replace("name: Văn thư, agency: stttt", "agency: stttt, name: Văn thư")
    assert moved != GOOD and directory_of(tmp_path, moved).digest == digest
    assert directory_of(tmp_path, GOOD.replace("Văn thư", "Văn thư Sở")).digest != digest


def test_disabled_boxes_are_left_out_of_groups(tmp_path: Path) -> None:
    text = GOOD.replace(
        "system_addresses",
        "  - {address: an, name: An, agency: stttt, roles: specialist}\n"
        "  - {address: cu, name: Cũ, agency: stttt, roles: specialist, enabled: false, aliases: [cuu]}\n"
        "groups: [{address: ca-so, name: Cả sở, members: [cuu, an, {agency: stttt, role: specialist}, sotttt]}]\n"
        "system_addresses",
    )
    members = directory_of(tmp_path, text).groups[0].members
    assert members == ("an@hoabinh.gov.vn", "sotttt@hoabinh.gov.vn")


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        (
            "clerk: sotttt",
            "clerk: sottt",
            "4:71: không có hộp thư “sottt@hoabinh.gov.vn” – có phải “sotttt@hoabinh.gov.vn”?",
        ),
        (
            "[clerk, security_officer]",
            "[security_officer]",
            "4:71: “sotttt@hoabinh.gov.vn” phải là hộp văn thư (clerk)",
        ),
        ("[clerk, security_officer]", "[clerk]", "1:1: chưa có hộp thư nào mang vai trò security_officer"),
        ("[clerk, security_officer]", "[]", "6:60: cần ít nhất một vai trò"),
        ("clerk: sotttt}", "clerk: sotttt, valid_from: 2020-01-01, valid_to: 2019-01-01}", "ngày kết thúc trước"),
        ("clerk: sotttt}", "clerk: sotttt, successor: stttt}", "“successor” đi vòng: stttt → stttt"),
        (", abuse: sotttt", "", "1:1: thiếu địa chỉ “abuse” trong system_addresses"),
        ("version: 1", "version: 1\nmailbox: []", "2:1: không có khóa “mailbox” – có phải “mailboxes”?"),
        ("login: sotttt", "login: sotttt, deliver: mx", "hộp thư không thể giao bằng “mx”"),
        ("login: sotttt", "login: sotttt, deliver: in-place", "“in-place” cần một tài khoản IMAP"),
        ("login: sotttt", "login: sotttt, password: env:A B", "không ghi bí mật vào tệp này"),
    ],
)
def test_one_mistake_one_line_at_its_place(tmp_path: Path, before: str, after: str, problem: str) -> None:
    assert before in GOOD
    problems = problems_of(tmp_path, GOOD.replace(before, after))
    assert any(problem in line for line in problems), problems
    assert all(line.startswith("mailboxes.yaml:") and " [" in line and line.endswith("]") for line in problems)


def test_a_broken_directory_gets_every_mistake_in_order() -> None:
    with pytest.raises(ConfigFault) as fault:
        load_directory(GOLDEN)
    assert "\n".join(fault.value.problems) + "\n" == (GOLDEN / "problems.txt").read_text("utf-8")
    assert "matkhau123" not in str(fault.value)


def test_a_group_does_not_stumble_over_a_box_whose_address_cannot_be_read(tmp_path: Path) -> None:
    text = GOOD.replace("{address: sotttt, name: Văn thư", "{address: 'so tt tt', name: Văn thư")
    text += "groups: [{address: ca-so, name: Cả sở, members: [{agency: stttt, role: clerk}]}]\n"
    problems = problems_of(tmp_path, text)
    assert any(problem.startswith("mailboxes.yaml:6:") for problem in problems), problems
