"""How single values are written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.config import forms
from mailrelay.config.marks import Node
from mailrelay.config.setting import HostPort
from mailrelay.model.agency import SecretRef, Target, TargetKind

HOME = "hoabinh.gov.vn"


def node(value: Any) -> Node:
    return Node("a.yaml", 1, 1, value)


@pytest.mark.parametrize(
    ("form", "written", "value"),
    [
        (forms.duration, "20s", timedelta(seconds=20)),
        (forms.duration, "1h 30m", timedelta(minutes=90)),
        (forms.duration, "250ms", timedelta(milliseconds=250)),
        (forms.duration, "2d", timedelta(days=2)),
        (forms.size, "50 MiB", 50 * 1024 * 1024),
        (forms.size, "64KiB", 65536),
        (forms.size, "10 MB", 10_000_000),
        (forms.size, 4096, 4096),
        (forms.place, "127.0.0.1:0", HostPort("127.0.0.1", 0)),
        (forms.place, "[::1]:25", HostPort("::1", 25)),
        (forms.place, ":25", HostPort("0.0.0.0", 25)),
        (forms.place, "mail.hoabinh.gov.vn:24", HostPort("mail.hoabinh.gov.vn", 24)),
        (forms.domain, HOME, HOME),
        (forms.secret, "file:logins/sotc", SecretRef("file", "logins/sotc")),
        (forms.secret, "env:SEAL_KEY", SecretRef("env", "SEAL_KEY")),
        (forms.day, "2013-10-28", date(2013, 10, 28)),
        (forms.target, "maildir", Target(TargetKind.MAILDIR)),
        (forms.target, "maildir:vpubnd/new", Target(TargetKind.MAILDIR, path="vpubnd/new")),
        (forms.target, "in-place", Target(TargetKind.IN_PLACE)),
        (forms.target, "mx", Target(TargetKind.SMTP)),
        (forms.target, "lmtp://127.0.0.1:2424", Target(TargetKind.LMTP, host="127.0.0.1", port=2424, tls="none")),
        (forms.target, "smtp://mail.vn", Target(TargetKind.SMTP, host="mail.vn", port=25, tls="may")),
        (forms.target, "smtp://mail.vn:26?tls=verify", Target(TargetKind.SMTP, host="mail.vn", port=26, tls="verify")),
        (
            forms.target,
            "smtp://mail.vn?connections=2&rate=64KiB",
            Target(TargetKind.SMTP, host="mail.vn", port=25, connections=2, rate=65536),
        ),
        (forms.target, "lmtp://[::1]:24", Target(TargetKind.LMTP, host="::1", port=24, tls="none")),
    ],
)
def test_values_are_read(form: Callable[[Node], object], written: object, value: object) -> None:
    assert form(node(written)) == value


@pytest.mark.parametrize(
    ("form", "written"),
    [
        (forms.duration, "20"),
        (forms.duration, "5 phút"),
        (forms.duration, ""),
        (forms.duration, 20),
        (forms.duration, "99999d"),
        (forms.size, "50 megabytes"),
        (forms.size, -1),
        (forms.size, True),
        (forms.count, True),
        (forms.count, "12"),
        (forms.flag, "true"),
        (forms.text, 12),
        (forms.place, "127.0.0.1"),
        (forms.place, "127.0.0.1:99999"),
        (forms.place, "a b:25"),
        (forms.place, "::1:25"),
        (forms.domain, "Hoabinh.gov.vn"),
        (forms.domain, "localhost"),
        (forms.secret, "matkhau123"),
        (forms.secret, "file:../etc/passwd"),
        (forms.secret, "file:/etc/passwd"),
        (forms.secret, "file:a/../b"),
        (forms.secret, "file:"),
        (forms.secret, 123456),
        (forms.day, "28/10/2013"),
        (forms.day, "2013-02-30"),
        (forms.target, "maildir:"),
        (forms.target, "lmtp://"),
        (forms.target, "http://mail.vn"),
        (forms.target, "smtp://user:pw@mail.vn"),
        (forms.target, "smtp://mail.vn/path"),
        (forms.target, "smtp://mail.vn:0"),
        (forms.target, "smtp://mail.vn:99999"),
        (forms.target, "smtp://mail.vn?tls=maybe"),
        (forms.target, "smtp://mail.vn?x=y"),
        (forms.target, "smtp://mail.vn?connections=-1"),
        (forms.target, "smtp://mail.vn?connections=100"),
        (forms.target, "smtp://mail.vn?connections=one"),
        (forms.target, "smtp://mail.vn?rate=fast"),
        (forms.target, "smtp://mail.vn?rate=1KiB"),
        (forms.target, "smtp://[::1"),
    ],
)
def test_what_cannot_be_read_says_so_in_both_languages(form: Callable[[Node], object], written: object) -> None:
    with pytest.raises(forms.Unreadable) as refused:
        form(node(written))
    assert refused.value.vi and refused.value.en


@pytest.mark.parametrize(("written", "address"), [("sotc", "sotc"), ("sotc@" + HOME, "sotc"), ("so.tc", "so.tc")])
def test_addresses_are_flat(written: str, address: str) -> None:
    assert forms.address(node(written), HOME) == f"{address}@{HOME}"


@pytest.mark.parametrize(
    "written",
    [
        "a@b.hoabinh.gov.vn",
        "SoTC",
        "sở tài chính",
        "a+b",
        "a..b",
        ".a",
        "a.",
        "",
        "a@",
        "@" + HOME,
        "a@b@" + HOME,
        "x" * 65,
    ],
)
def test_other_addresses_are_refused(written: str) -> None:
    with pytest.raises(forms.Unreadable):
        forms.address(node(written), HOME)


def test_an_inline_secret_is_not_repeated() -> None:
    with pytest.raises(forms.Unreadable) as refused:
        forms.secret(node("matkhau-cua-toi"))
    assert "matkhau" not in refused.value.vi + refused.value.en


_FORMS = (
    forms.duration,
    forms.size,
    forms.place,
    forms.domain,
    forms.secret,
    forms.target,
    forms.day,
    forms.flag,
    forms.count,
)


@given(
    st.sampled_from(_FORMS),
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=40), st.lists(st.none(), max_size=1)),
)
def test_forms_read_or_refuse_but_never_fail(form: Callable[[Node], object], value: object) -> None:
    with suppress(forms.Unreadable):
        form(node(value))
