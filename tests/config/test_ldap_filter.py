"""Search filters as admins write them; what is no filter is a problem at its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.config.forms import Unreadable
from mailrelay.config.ldap_filter import read_filter
from mailrelay.model.ldap_filter import Compared, Joined, Junctor, Matched, Pieces, Present, Relation

UID = Compared("uid", Relation.EQUAL, b"{login}")


def test_filters_are_read_as_rfc_4515_writes_them() -> None:
    assert read_filter("(uid={login})") == UID
    assert read_filter("(&(objectClass=*)(!(title=a\\2ab))(|(uid={login})(mail={login}@x)))") == Joined(
        Junctor.AND,
        (
            Present("objectClass"),
            Joined(Junctor.NOT, (Compared("title", Relation.EQUAL, b"a*b"),)),
            Joined(Junctor.OR, (UID, Compared("mail", Relation.EQUAL, b"{login}@x"))),
        ),
    )
    assert read_filter("(cn;lang-vi=*a*{login}*)") == Pieces("cn;lang-vi", (b"", b"a", b"{login}", b""))
    assert read_filter("(|(2.5.4.3>={login})(cn<=ê)(cn~=x))") == Joined(
        Junctor.OR,
        (
            Compared("2.5.4.3", Relation.AT_LEAST, b"{login}"),
            Compared("cn", Relation.AT_MOST, "ê".encode()),
            Compared("cn", Relation.SIMILAR, b"x"),
        ),
    )
    assert read_filter("(|(memberOf:1.2.840.113556.1.4.1941:={login})(ou:dn:=x)(:caseExactMatch:=y))") == Joined(
        Junctor.OR,
        (
            Matched("memberOf", "1.2.840.113556.1.4.1941", b"{login}"),
            Matched("ou", "", b"x", with_dn=True),
            Matched("", "caseExactMatch", b"y"),
        ),
    )


@pytest.mark.parametrize(
    "written",
    [
        "",
        "(uid=nam)",  # without the login
        "uid={login}",
        "(uid={login}",
        "(uid={login}))",
        "(uid={login})(cn=*)",
        "(&)({login}=x)",
        "(&(uid={login})",
        "(!(uid={login})(cn=x))",
        "(uid={login}\\)",
        "(uid=\\zz{login})",
        "(u id={login})",
        "(={login})",
        "({login}=x)",
        "(:={login})",
        "(&" * 30 + "(uid={login})" + ")" * 30,
    ],
)
def test_what_is_no_filter_is_refused(written: str) -> None:
    with pytest.raises(Unreadable):
        read_filter(written)


@given(st.text(alphabet="(&|!)=*\\2a:dn.;uid{login}<>~ ", max_size=60))
def test_nothing_else_comes_out(text: str) -> None:
    for written in (text, f"({text}{{login}})", f"(&(uid={{login}}){text})"):
        try:
            read_filter(written)
        except Unreadable:
            continue
