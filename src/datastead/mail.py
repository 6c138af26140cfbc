"""`Mailer`: mail over SMTP, through `sendmail`, or printed for a developer. In a thread, and never in a transaction."""

import asyncio
import logging
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING

from datastead.errors import DatasteadError, InvalidPayload, RequestsExceeded, ServiceUnavailable

if TYPE_CHECKING:
    from datastead.settings import Settings

log = logging.getLogger(__name__)

THREADS = 2
MAX_WAITING = 1000  # mails
TIMEOUT_S = 20
CLOSING_S = 10


@dataclass(frozen=True, slots=True)
class Mail:
    """One message of plain text. to: an address. repr shows neither text nor links: they may be keys."""

    to: str
    subject: str
    text: str

    def __repr__(self) -> str:
        return "Mail(…)"


class Mailer:
    """Sends mail as `EMAIL_*` says."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="mail")
        self._posted: set[asyncio.Task[None]] = set()

    async def send(self, mail: Mail) -> None:
        """Sends it now. Raises `InvalidPayload` for an address that is none, `ServiceUnavailable` where it fails."""
        message = _message(self._settings.email_from, mail)
        await asyncio.get_running_loop().run_in_executor(self._threads, _deliver, self._settings, message)

    async def check(self) -> None:
        """Whether the mail server lets us in. Raises what goes wrong; other ways to send are taken at their word."""
        if self._settings.email_transport == "smtp":
            await asyncio.get_running_loop().run_in_executor(self._threads, _look_in, self._settings)

    def post(self, letter: Awaitable[Mail | None]) -> None:
        """Sends later what `letter` gives, if anything: whoever asks does not learn whether, and does not wait."""
        if len(self._posted) >= MAX_WAITING:
            asyncio.ensure_future(letter).cancel()
            raise RequestsExceeded
        task = asyncio.get_running_loop().create_task(self._send_later(letter))
        self._posted.add(task)
        task.add_done_callback(self._posted.discard)

    async def close(self) -> None:
        """Waits a while for what is under way."""
        if self._posted:
            await asyncio.wait(self._posted, timeout=CLOSING_S)
        for task in self._posted:
            task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _send_later(self, letter: Awaitable[Mail | None]) -> None:
        try:
            mail = await letter
            if mail is not None:
                await self.send(mail)
        except DatasteadError as error:
            log.error("Mail was not sent: %s", error.message)  # noqa: TRY400  the trace says no more
        except Exception:
            log.exception("Mail was not sent.")


def _message(sender: str, mail: Mail) -> EmailMessage:
    message = EmailMessage()
    try:
        message["From"] = sender
        message["To"] = Address(addr_spec=mail.to)
        message["Subject"] = " ".join(mail.subject.split())
    except (ValueError, IndexError, MessageError):
        reason = "Mail cannot be sent to this address"
        raise InvalidPayload(f"{reason}.", reason=reason, field="email") from None
    message["Date"] = formatdate(localtime=False)
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2].rstrip("> ") or "localhost")
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    return message


def _deliver(settings: "Settings", message: EmailMessage) -> None:
    """In a thread of its own. Errors say what is wrong with the way, never what is in the mail."""
    try:
        _TRANSPORTS[settings.email_transport](settings, message)
    except (OSError, smtplib.SMTPException, subprocess.SubprocessError, ssl.SSLError) as error:
        raise _failure(settings, error) from None


def _look_in(settings: "Settings") -> None:
    with _connection(settings) as server:
        server.noop()


def _by_smtp(settings: "Settings", message: EmailMessage) -> None:
    with _connection(settings) as server:
        server.send_message(message)


@contextmanager
def _connection(settings: "Settings") -> Iterator[smtplib.SMTP]:
    host, port, password = settings.email_smtp_host, settings.email_smtp_port, settings.email_smtp_password
    context = ssl.create_default_context()
    if settings.email_smtp_secure:
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=context)
    else:
        server = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
    with server:
        server.ehlo()
        if not settings.email_smtp_secure and not settings.email_smtp_ignore_tls and server.has_extn("starttls"):
            server.starttls(context=context)
            server.ehlo()
        if settings.email_smtp_user is not None:
            server.login(settings.email_smtp_user, password.get_secret_value() if password else "")
        yield server


def _by_sendmail(settings: "Settings", message: EmailMessage) -> None:
    command = [settings.email_sendmail_path, "-i", "-t"]
    subprocess.run(command, input=bytes(message), check=True, timeout=TIMEOUT_S, capture_output=True)  # noqa: S603


def _to_console(_: "Settings", message: EmailMessage) -> None:
    sys.stderr.write(f"Mail to {message['To']}: {message['Subject']}\n{message.get_content()}\n")


_TRANSPORTS = {"smtp": _by_smtp, "sendmail": _by_sendmail, "console": _to_console}


def _failure(settings: "Settings", error: Exception) -> ServiceUnavailable:
    where = {
        "smtp": f"the mail server `{settings.email_smtp_host}:{settings.email_smtp_port}`",
        "sendmail": f"`{settings.email_sendmail_path}`",
    }.get(settings.email_transport, "the console")
    reason = f"{where} did not take it ({_kind(error)}): check `EMAIL_TRANSPORT` and the `EMAIL_*` variables"
    return ServiceUnavailable(f"The mail was not sent; {reason}.", service="mail", reason=reason)


def _kind(error: Exception) -> str:
    """What went wrong, without the server's words: they may repeat what it was sent."""
    code = getattr(error, "smtp_code", None)
    return f"{type(error).__name__} {code}" if code else type(error).__name__
