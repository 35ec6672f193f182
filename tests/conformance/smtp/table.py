"""Writes docs/conformance-smtp.md from the heads of the dialogs: `python -m tests.conformance.smtp.table`."""

from __future__ import annotations

from pathlib import Path

from tests.conformance.smtp.dialog import dialogs

PAGE = Path(__file__).parents[3] / "docs" / "conformance-smtp.md"
_HEAD = """\
<!-- Written by `python -m tests.conformance.smtp.table` from tests/conformance/smtp/*.txt: change the dialogs, then run it. -->
# Conformance of the SMTP doors

Each row is a dialog in `tests/conformance/smtp/`, spoken over real sockets with every listener that it names. The last column
compares with Postfix (stock configuration as an MX for one domain): the same class of answer at each step, or why not.

| clause | shows | doors | dialog | Postfix |
|---|---|---|---|---|
"""

# What shows only behind the doors: (clause, what is shown, file, function).
ELSEWHERE = (
    (
        "RFC 1870 6.1, RFC 5321 4.5.3.1.7",
        "the size is counted while reading, too",
        "tests/intake/smtp/test_content.py",
        "",
    ),
    (
        "RFC 3461 4, 5.2",
        "ENVID, RET, NOTIFY, ORCPT go on letter for letter",
        "tests/pipeline/test_reports.py",
        "test_parameters_are_passed_on_letter_for_letter",
    ),
    (
        "RFC 3461 5, 6",
        "delivered, relayed and failed exactly as asked; NEVER is silence",
        "tests/pipeline/test_reports.py",
        "test_every_wish_at_every_kind_of_next_hop",
    ),
    (
        "RFC 3461 6",
        "the same through real Postfixes in front and behind",
        "tests/e2e/delivery/test_reports.py",
        "test_a_ministry_hears_of_the_delivery_into_a_mailbox",
    ),
    (
        "RFC 3464 2, RFC 6522",
        "the fields and parts of a report, by another parser",
        "tests/receipts/test_report.py",
        "test_the_fields_of_rfc_3464",
    ),
    (
        "RFC 3834 2",
        "no automatic answer to automatic mail",
        "tests/receipts/test_drawer.py",
        "test_never_a_notice_about_a_notice_or_to_nobody",
    ),
    (
        "RFC 4511, RFC 4513 5.1.2, RFC 4514",
        "LDAP: no bind without a password, no injection, server away is 454",
        "tests/e2e/smtp/test_ldap.py",
        "test_a_server_that_is_away_is_no_wrong_password",
    ),
    (
        "RFC 5321 4.2.5, 6.1",
        "everything is on the disk before 250",
        "tests/crash/test_order.py",
        "test_all_is_on_the_disk_before_250",
    ),
    (
        "RFC 5321 4.2.5, 6.1",
        "kill -9 loses and doubles nothing",
        "tests/crash/test_kill.py",
        "test_kill_9_loses_and_doubles_nothing",
    ),
    (
        "RFC 5321 4.4",
        "Received on top, with protocol and peer",
        "tests/pipeline/test_judgement.py",
        "test_the_received_field_says_how_the_mail_came",
    ),
    ("RFC 5321 4.5.2", "every cut of the end of the data and of stuffed dots", "tests/intake/smtp/test_data.py", ""),
    (
        "RFC 5321 4.5.3.2",
        "time for a command, a block, a mail; a client that does not read",
        "tests/intake/smtp/test_conversation.py",
        "test_an_idle_client_is_sent_away",
    ),
    (
        "RFC 5321 4.5.4.1",
        "pauses between tries, given up after five working days",
        "tests/delivery/test_backoff.py",
        "test_expiry_has_five_working_days",
    ),
    (
        "RFC 5321 6.3",
        "mail that runs in a circle behind an MTA is held",
        "tests/e2e/smtp/test_content_filter.py",
        "test_a_route_that_leads_in_a_circle_holds_the_mail",
    ),
    (
        "RFC 5321 7.8",
        "slow and half-open clients never starve the rest",
        "tests/intake/smtp/test_crowd.py",
        "test_who_does_nothing_gives_way",
    ),
    (
        "RFC 6409 8",
        "Date and Message-ID are added at submission only",
        "tests/pipeline/test_judgement.py",
        "test_only_a_submission_is_completed",
    ),
    (
        "RFC 6533 3",
        "addresses beyond ASCII in reports",
        "tests/receipts/test_report.py",
        "test_an_address_beyond_ascii_stays_ascii_as_rfc_6533_has_it",
    ),
    ("RFC 7208, RFC 7489", "SPF and DMARC of the real client", "tests/inspection/test_edge.py", "test_spf_and_dmarc"),
    (
        "RFC 8098 3",
        "disposition notifications are read, never answered",
        "tests/receipts/test_acknowledge.py",
        "test_reads_a_disposition_notification",
    ),
    (
        "RFC 8689 4.2",
        "REQUIRETLS is passed on or the mail is not sent",
        "tests/delivery/test_tls.py",
        "test_requiretls",
    ),
)
_ELSEWHERE_HEAD = """
## Behind the doors

What no dialog can show, and the test that does.

| clause | shows | test |
|---|---|---|
"""


def page() -> str:
    rows = sorted(dialogs(), key=lambda dialog: (dialog.clause, dialog.name))
    table = "".join(
        f"| {d.clause} | {d.shows} | {', '.join(d.doors)} | `{d.name}` | {d.postfix or '–'} |\n" for d in rows
    )
    more = "".join(
        f"| {clause} | {shows} | `{file}{'::' + test if test else ''}` |\n" for clause, shows, file, test in ELSEWHERE
    )
    return _HEAD + table + _ELSEWHERE_HEAD + more


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
