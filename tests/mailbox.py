"""A real mail server in a thread, and what came to it."""

import socket
import threading
import time
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

WAIT_S = 10


class Mailbox:
    """Takes mail while the block lasts. login: the user and password that it asks for."""

    def __init__(self, login: tuple[str, str] | None = None) -> None:
        self._came, self._mails = threading.Condition(), list[EmailMessage]()
        self.recipients: list[list[str]] = []
        self._login = login
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        options: dict[str, Any] = {"auth_required": True, "auth_require_tls": False} if login else {}
        self._controller = Controller(
            self, hostname="127.0.0.1", port=self.port, authenticator=self._authenticate, **options
        )

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    def mails_to(self, address: str) -> list[EmailMessage]:
        """What has come so far."""
        with self._came:
            return [mail for mail in self._mails if mail["To"] == address]

    def mail_to(self, address: str, number: int = 1) -> EmailMessage:
        """The mail that came to an address as the so-manieth: waited for."""
        deadline = time.monotonic() + WAIT_S
        with self._came:
            while len(found := [mail for mail in self._mails if mail["To"] == address]) < number:
                assert self._came.wait(deadline - time.monotonic()), f"No mail {number} came to {address}."
        return found[number - 1]

    def link_to(self, address: str, number: int = 1) -> str:
        """The link in it."""
        (link,) = (line for line in self.mail_to(address, number).get_content().splitlines() if "://" in line)
        return link

    def token_to(self, address: str, number: int = 1) -> str:
        """The token of that link."""
        return parse_qs(urlsplit(self.link_to(address, number)).query)["token"][0]

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address.startswith("refused"):
            return "550 Nobody here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        with self._came:
            self._mails.append(mail)
            self.recipients.append([str(address) for address in envelope.rcpt_tos])
            self._came.notify_all()
        return "250 OK"

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: Any
    ) -> AuthResult:
        matches = isinstance(given, LoginPassword) and self._login == (given.login.decode(), given.password.decode())
        return AuthResult(success=matches, handled=False)
