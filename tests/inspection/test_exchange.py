"""What parent and worker tell each other: the same on both sides, and nothing unexpected taken."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrelay.inspection import exchange
from mailrelay.inspection.jobs import Job
from mailrelay.inspection.slugs import note
from mailrelay.model.finding import Check, Verdict
from mailrelay.model.message import Address, Attachment, Content

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
CONTENT = st.builds(
    Content,
    subject=TEXT,
    senders=st.lists(st.builds(Address, TEXT, TEXT), max_size=2).map(tuple),
    fields=st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
    references=st.lists(TEXT, max_size=2).map(tuple),
    attachments=st.lists(
        st.builds(
            Attachment, TEXT, st.lists(TEXT, max_size=2).map(tuple), TEXT, TEXT, st.integers(0, 1 << 40), TEXT, TEXT
        ),
        max_size=2,
    ).map(tuple),
    inner_subjects=st.lists(TEXT, max_size=2).map(tuple),
    inner_text=TEXT,
    own_results=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=2).map(tuple),
)


@given(CONTENT)
def test_content_comes_back_as_it_went(content: Content) -> None:
    assert exchange.content_from_json(json.loads(json.dumps(exchange.content_to_json(content)))) == content


@given(TEXT, st.dictionaries(TEXT, TEXT | st.integers() | st.booleans() | st.lists(TEXT, max_size=2), max_size=3))
def test_findings_come_back_as_they_went(subject: str, facts: dict[str, object]) -> None:
    finding = note(Check.PDF, Verdict.PASS, "good", subject, **{f"f{name}": value for name, value in facts.items()})
    assert exchange.findings_from_json(json.loads(json.dumps([exchange.finding_to_json(finding)]))) == (finding,)


def test_lone_surrogates_do_not_pass() -> None:
    finding = note(Check.PDF, Verdict.PASS, "good", "a\udcff", field="b\ud800", more=["c\udfff"])
    json.dumps(exchange.finding_to_json(finding), ensure_ascii=False).encode()
    with pytest.raises(ValueError):
        exchange.content_from_json({**exchange.content_to_json(Content()), "subject": "\ud800"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["subject", "check", "verdict", "kind"]) | TEXT, inner)
    ),
    max_leaves=8,
)


@given(JSON)
def test_what_does_not_fit_is_a_value_error(value: object) -> None:
    for read in (exchange.content_from_json, exchange.finding_from_json, exchange.findings_from_json, Job.from_json):
        try:
            read(value)
        except ValueError:
            continue
        assert value in ([], {}) or isinstance(value, list | dict)


JOB = Job("smime", "1.2", "a.pdf", 10, 900, "base64", size=7, reason="forwarded", signature_start=20, wrap_end=5)


def test_jobs_come_back_as_they_went() -> None:
    assert Job.from_json(json.loads(json.dumps(JOB.as_json()))) == JOB


@pytest.mark.parametrize(
    ("at", "value"), [(0, "exec"), (0, 1), (0, []), (1, None), (3, "10"), (3, True), (3, 1.0), (14, b"")]
)
def test_a_job_with_a_foul_value_is_none(at: int, value: object) -> None:
    values = JOB.as_json()
    with pytest.raises(ValueError, match="not a job"):
        Job.from_json([*values[:at], value, *values[at + 1 :]])
    with pytest.raises(ValueError, match="not a job"):
        Job.from_json(values[:at])
    with pytest.raises(ValueError, match="not a job"):
        Job.from_json([*values, ""])


@pytest.mark.parametrize("name", ["senders", "fields", "attachments", "own_results", "text", "received_count"])
def test_every_field_is_looked_at(name: str) -> None:
    for foul in (None, 3.5, [1], [["a"]], [[1, 2, 3]], {"a": 1}):
        with pytest.raises(ValueError):
            exchange.content_from_json({**exchange.content_to_json(Content()), name: foul})
