"""Delivery reports as a parser of another hand reads them: Perl's Mail::DeliveryStatus::BounceParser, from Debian."""

from __future__ import annotations

import json
import subprocess

from tests.servers.process import program

_FIELDS = ("std_reason", "Action", "Status", "Original-Recipient", "Final-Recipient", "Remote-MTA", "Diagnostic-Code")
# Its report objects are header sections with the accessors of Mail::Header; `parse` takes the file handle of the mail.
_SCRIPT = """
use strict; use warnings; use JSON::PP;
use Mail::DeliveryStatus::BounceParser;
my $read = Mail::DeliveryStatus::BounceParser->new(\\*STDIN, {prefer_final_recipient => 1});
my @told;
for my $report ($read->reports) {
    my %one = (email => $report->get("email"));
    for my $name (@ARGV) { my $value = $report->get($name); chomp($one{$name} = $value) if defined $value; }
    push @told, \\%one;
}
print encode_json({bounce => $read->is_bounce ? JSON::PP::true : JSON::PP::false, reports => \\@told});
"""


def read_report(raw: bytes) -> tuple[bool, dict[str, dict[str, str]]]:
    """Whether the mail reports a failure for good, and what it reports of each recipient: final address -> fields."""
    command = [program("perl"), "-e", _SCRIPT, *_FIELDS]
    done = subprocess.run(command, input=raw.replace(b"\r\n", b"\n"), capture_output=True, timeout=30, check=True)
    told = json.loads(done.stdout)
    return told["bounce"], {one["email"]: one for one in told["reports"]}
