"""`Mail`: one message, and how it is written for those who carry it. Nothing in a value becomes a header of its own."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email import policy
from email.errors import MessageError, NonASCIILocalPartDefect
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Literal

from datastead.errors import InvalidPayload
from datastead.mail.markup import from_markdown, text_of_html

Format = Literal["text", "markdown", "html"]
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Mail:
    """One message. repr shows neither text nor links: they may be keys.

    to: an address alone, as text; or any number, as `addresses` reads them, like cc, bcc and reply_to.
    text: what `format` says. Of Markdown and HTML there are two parts, so that everybody can read it.
    id: what it is known by; the same mail sent again has the same, and whoever gets it can tell.
    """

    to: str | tuple[Address, ...]
    subject: str
    text: str
    format: Format = "text"
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    id: str | None = None

    def __repr__(self) -> str:
        return "Mail(…)"


def addresses(given: str | Sequence[str]) -> tuple[Address, ...]:
    """`ada@example.com`, `Ada <ada@example.com>`, or several by commas. Raises `InvalidPayload` for what is none."""
    texts = [given] if isinstance(given, str) else given
    return tuple(address for text in texts for address in _addresses(text))


def written(sender: str, mail: Mail) -> EmailMessage:
    """The message. Raises `InvalidPayload` for an address that is none."""
    message = EmailMessage()
    message["From"] = sender
    for header, given in (("To", mail.to), ("Cc", mail.cc), ("Bcc", mail.bcc), ("Reply-To", mail.reply_to)):
        if given:
            message[header] = _alone(given) if isinstance(given, str) else given
    message["Subject"] = _one_line(mail.subject)
    message["Date"] = formatdate(localtime=False)
    message["Message-ID"] = _message_id(mail, sender.rpartition("@")[2].rstrip("> ") or "localhost")
    message["Auto-Submitted"] = "auto-generated"
    _add_text(message, mail)
    return message


def _one_line(text: str) -> str:
    """The text on one line, also of what is encoded in it (`=?utf-8?q?=0A?=`).

    `EmailMessage` decodes that, and before Python 3.11.10 and 3.12.5 writes line breaks that were in it as such.
    """
    cleaned = " ".join(_CONTROL.sub(" ", text).split())
    decoded = str(policy.default.header_factory("Subject", cleaned))
    return cleaned if decoded == cleaned else _one_line(decoded)


def _alone(text: str) -> Address:
    try:
        return Address(addr_spec=text)
    except (ValueError, IndexError, MessageError):
        raise _no_address(text) from None


def _addresses(text: str) -> Iterable[Address]:
    try:
        header: Any = None if _CONTROL.search(text) else policy.default.header_factory("To", text)
    except (ValueError, IndexError, MessageError):
        header = None
    if header is None or not _is_well(header):
        raise _no_address(text)
    return tuple(header.addresses)


def _no_address(text: str) -> InvalidPayload:
    shown = _CONTROL.sub("?", text)[:100]
    reason = f"Mail cannot be sent to `{shown}`: it is no address such as `ada@example.com`"
    return InvalidPayload(f"{reason}.", reason=reason, field="email", value=shown)


def _is_well(header: Any) -> bool:
    """Whether it was read as addresses with a domain, without a doubt, and without groups."""
    found = header.addresses
    is_plain = all(group.display_name is None for group in header.groups)
    defects = [defect for defect in header.defects if not isinstance(defect, NonASCIILocalPartDefect)]
    return is_plain and not defects and bool(found) and all(each.username and each.domain for each in found)


def _message_id(mail: Mail, domain: str) -> str:
    if mail.id is None:
        return make_msgid(domain=domain)
    return f"<{re.sub(r'[^A-Za-z0-9-]', '.', mail.id)}@{domain}>"


def _add_text(message: EmailMessage, mail: Mail) -> None:
    if mail.format == "text":
        message.set_content(mail.text)
    elif mail.format == "markdown":
        message.set_content(mail.text)
        message.add_alternative(from_markdown(mail.text), subtype="html")
    else:
        message.set_content(text_of_html(mail.text))
        message.add_alternative(mail.text, subtype="html")
