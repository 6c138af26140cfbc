"""`Mailer`: mail over SMTP, through `sendmail`, or printed for a developer. In a thread, and never in a transaction."""

import asyncio
import logging
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

from datastead.errors import DatasteadError, RequestsExceeded, ServiceUnavailable
from datastead.mail.message import Mail, written
from datastead.mail.templates import rendered

if TYPE_CHECKING:
    from datastead.settings import Settings

log = logging.getLogger(__name__)

THREADS = 2
MAX_WAITING = 1000  # mails
TIMEOUT_S = 20
CLOSING_S = 10


class Mailer:
    """Sends mail as `EMAIL_*` says."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="mail")
        self._posted: set[asyncio.Task[None]] = set()

    async def send(self, mail: Mail) -> None:
        """Sends it now. Raises `InvalidPayload` for an address that is none, and `ServiceUnavailable` where it fails.

        Where the server took it for some only, that says as `refused` for whom it did not.
        """
        await asyncio.get_running_loop().run_in_executor(self._threads, _deliver, self._settings, mail)

    async def render(self, template: str, data: Mapping[str, Any]) -> str:
        """HTML by a template of `EMAIL_TEMPLATES_PATH`. Raises `InvalidPayload`."""
        folder = self._settings.templates_folder
        return await asyncio.get_running_loop().run_in_executor(self._threads, rendered, folder, template, data)

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


def _deliver(settings: "Settings", mail: Mail) -> None:
    """In a thread of its own. Errors say what is wrong with the way, never what is in the mail."""
    message = written(settings.email_from, mail)
    try:
        _TRANSPORTS[settings.email_transport](settings, message)
    except (OSError, smtplib.SMTPException, subprocess.SubprocessError, ssl.SSLError) as error:
        raise _failure(settings, error) from None


def _look_in(settings: "Settings") -> None:
    with _connection(settings) as server:
        server.noop()


def _by_smtp(settings: "Settings", message: EmailMessage) -> None:
    with _connection(settings) as server:
        refused = server.send_message(message)
    if refused:
        reason = f"the mail server did not take it for {', '.join(f'`{address}`' for address in sorted(refused))}"
        said = f"The mail was sent to some only; {reason}, the others have it."
        raise ServiceUnavailable(said, service="mail", reason=reason, refused=sorted(refused))


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
    text = message.get_body(("plain",)) or message
    sys.stderr.write(f"Mail to {message['To']}: {message['Subject']}\n{text.get_content()}\n")


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
