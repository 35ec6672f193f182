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


def page() -> str:
    rows = sorted(dialogs(), key=lambda dialog: (dialog.clause, dialog.name))
    return _HEAD + "".join(
        f"| {d.clause} | {d.shows} | {', '.join(d.doors)} | `{d.name}` | {d.postfix or '–'} |\n" for d in rows
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
