"""Judges a mail for each of its recipients by the rule book. Pure, total: no fact of a mail makes it raise."""

from __future__ import annotations

from collections.abc import Sequence

from mailrelay.model.agency import Directory
from mailrelay.model.decision import Action, Decision, Reason, RecipientDecision
from mailrelay.model.document import Recognition
from mailrelay.model.envelope import Envelope
from mailrelay.model.fact import Value
from mailrelay.model.finding import Findings
from mailrelay.model.identity import AgencyId
from mailrelay.model.rule import Rule, RuleBook, Text
from mailrelay.model.ruling import Match, Ruling, may_match, rule_on
from mailrelay.policy.facts import MailFacts, of_mail, of_recipient
from mailrelay.policy.sentences import fill, legible, listed, sized

UNDECIDED = Reason(
    rule_id="no-rule",
    vi="Chưa có quy tắc nào cho thư này nên thư được tạm giữ để người có trách nhiệm xem xét.",
    en="No rule covers this mail; it is held for a person to decide.",
    remedy_vi="Người gửi không cần gửi lại; văn thư hoặc quản trị viên sẽ quyết định.",
    remedy_en="No need to send again; the registry or an administrator will decide.",
)


def judge(
    rulebook: RuleBook,
    directory: Directory,
    envelope: Envelope,
    recipients: Sequence[str],
    findings: Findings,
    recognition: Recognition,
) -> Decision:
    """One decision per recipient (groups and aliases already expanded), in the same order.

    Reasons stand from the weakest to the strongest: the last one is why.
    """
    mail = of_mail(directory, envelope, recipients, findings, recognition)
    rules = tuple(rule for rule in rulebook.rules if rule.enabled and may_match(rule, mail.values))
    words = _mail_words(directory, findings, recognition, mail)
    decisions = tuple(_for(recipient, rules, directory, mail, words) for recipient in recipients)
    return Decision(decisions, rulebook.digest, directory.digest)


def _for(
    recipient: str, rules: tuple[Rule, ...], directory: Directory, mail: MailFacts, words: dict[str, str]
) -> RecipientDecision:
    facts = {**mail.values, **of_recipient(directory, recipient, mail)}
    ruling = rule_on(rules, facts)
    words = {**words, **_recipient_words(directory, recipient, facts)}
    enforced = tuple(match.rule for match in ruling.matches)
    return RecipientDecision(
        recipient=recipient,
        action=ruling.action,
        rules=tuple(rule.rule_id for rule in enforced),
        reasons=_reasons(ruling, words, mail),
        shadow=tuple(match.rule.rule_id for match in ruling.shadow),
        refusal=_refusal(ruling),
        obligations=tuple(dict.fromkeys(o for rule in enforced for o in rule.obligations)),
    )


def _reasons(ruling: Ruling, words: dict[str, str], mail: MailFacts) -> tuple[Reason, ...]:
    if not ruling.decided:
        return (UNDECIDED,)
    speaking = [match for match in ruling.matches if match.rule.reason.vi and not _is_void(match, ruling)]
    speaking.sort(key=lambda match: match.rule.action.strength if match.rule.action else -1)
    return tuple(_reason(match, words, mail) for match in speaking)


def _is_void(match: Match, ruling: Ruling) -> bool:
    """That a mail is carried is no reason any more when a stronger rule keeps it; what the rule warns of stays true."""
    warns = any(obligation.startswith("warn:") for obligation in match.rule.obligations)
    return match.rule.action is Action.RELAY and ruling.action is not Action.RELAY and not warns


def _reason(match: Match, words: dict[str, str], mail: MailFacts) -> Reason:
    names = tuple(name for fact, hits in match.facts for hit in hits for name in mail.subjects.get((fact, hit), ()))
    words = {**words, "attachment": listed(names)} if names else words
    remedy = match.rule.remedy or Text("", "")
    return Reason(
        rule_id=match.rule.rule_id,
        vi=fill(match.rule.reason.vi, words),
        en=fill(match.rule.reason.en, words),
        remedy_vi=fill(remedy.vi, words),
        remedy_en=fill(remedy.en, words),
        matched=tuple((fact, legible(", ".join(hits))) for fact, hits in match.facts),
    )


def _refusal(ruling: Ruling) -> str:
    """The name in the refusal table of the first rule that took the strongest action."""
    if ruling.action not in (Action.REJECT, Action.RETURN):
        return ""
    names = (match.rule.refusal for match in ruling.matches if match.rule.action is ruling.action)
    return next((name for name in names if name), "policy")


def _mail_words(directory: Directory, findings: Findings, recognition: Recognition, mail: MailFacts) -> dict[str, str]:
    agency = directory.agency(AgencyId(str(mail.values["sender_agency"])))
    document = recognition.document
    return {
        "sender": legible(str(mail.values["sender"])),
        "login": legible(str(mail.values["login"])),
        "sender_agency": agency.name if agency else "",
        "attachment": listed(file.name for file in findings.content.attachments),
        "code": legible(str(document.code)) if document and document.code else "",
        "size": sized(sum(file.size for file in findings.content.attachments)),
        "domain": directory.domain,
    }


def _recipient_words(directory: Directory, recipient: str, facts: dict[str, Value]) -> dict[str, str]:
    agency = directory.agency(AgencyId(str(facts["recipient_agency"])))
    return {
        "recipient": legible(recipient),
        "agency": agency.name if agency else "",
        "clerk": agency.clerk if agency else "",
    }
