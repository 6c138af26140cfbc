"""HTTP requests to addresses that come from outside: callers, rows and flows. Private addresses are refused.

The guard looks at the address that is about to be dialled: no host name, redirect or second lookup gets past it.
"""

import codecs
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from datastead.errors import InvalidPayload, InvalidSettings, RequestRefused, ServiceUnavailable

if TYPE_CHECKING:
    import aiohttp

    from datastead.settings import Settings

MAX_BYTES = 10 * 1024 * 1024
"""The largest answer that is read."""

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]
_NAT64 = ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Answer:
    """What an outgoing request got. headers: names in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes
    encoding: str

    @property
    def text(self) -> str:
        return self.body.decode(self.encoding, errors="replace")


@dataclass(frozen=True, slots=True)
class Guard:
    """Which addresses may be dialled: public ones, without the denied, with the allowed."""

    allowed: Networks = ()
    denied: Networks = ()

    @classmethod
    def of(cls, settings: "Settings") -> "Guard":
        return cls(
            _networks("IMPORT_IP_ALLOW_LIST", settings.import_ip_allow_list),
            _networks("IMPORT_IP_DENY_LIST", settings.import_ip_deny_list),
        )

    def allows(self, host: str) -> bool:
        """Whether the address (not a name) may be dialled."""
        address = _real(ip_address(host.partition("%")[0]))
        if any(address in network for network in self.denied if network.version == address.version):
            return False
        if any(address in network for network in self.allowed if network.version == address.version):
            return True
        return address.is_global and not address.is_multicast

    def socket(self, address: "aiohttp.AddrInfoType") -> socket.socket:
        """A socket for an address that may be dialled; as aiohttp's `socket_factory`."""
        family, kind, protocol, _, target = address
        if not self.allows(str(target[0])):
            raise _AddressRefusedError(f"{target[0]} is not a public address")
        return socket.socket(family, kind, protocol)


class _AddressRefusedError(OSError):
    """The guard refused to dial. An `OSError`, since that is what aiohttp expects of its `socket_factory`."""


async def fetch(
    settings: "Settings",
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_s: float = 30,
    max_bytes: int = MAX_BYTES,
    configured: bool = False,
) -> Answer:
    """An HTTP request to an address from outside.

    configured: the settings name the address. It may be a private one then, and no redirect leads away from it.

    Raises `RequestRefused` for addresses that may not be reached and for answers that are too large,
    `ServiceUnavailable` where nobody answers in time, `InvalidPayload` for a URL that is none.
    """
    more: Any = {"headers": headers, "body": body, "timeout_s": timeout_s, "configured": configured}
    async with opened(settings, method, url, **more) as answer:
        return await _read(answer, max_bytes)


@dataclass(frozen=True, slots=True)
class OpenAnswer:
    """An answer whose body is still to come."""

    response: "aiohttp.ClientResponse"
    timeout_s: float

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body. Raises as `fetch` does."""
        with _translated(str(self.response.url), self.timeout_s):
            async for piece in self.response.content.iter_chunked(65536):
                yield piece


@asynccontextmanager
async def opened(
    settings: "Settings",
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_s: float = 30,
    silence_s: float | None = None,
    configured: bool = False,
) -> AsyncIterator[OpenAnswer]:
    """The answer to such a request, whose body may be large. silence_s: the longest time without a byte of it.

    Raises as `fetch` does.
    """
    import aiohttp

    _check_url(url)
    guarded = None if configured else Guard.of(settings).socket
    connector = aiohttp.TCPConnector(socket_factory=guarded, force_close=True)
    timeout = aiohttp.ClientTimeout(total=timeout_s, sock_read=silence_s)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        with _translated(url, timeout_s):
            response = await session.request(method, url, headers=headers, data=body, allow_redirects=not configured)
        async with response:
            yield OpenAnswer(response, timeout_s)


@contextmanager
def _translated(url: str, timeout_s: float) -> Iterator[None]:
    """What goes wrong on the way, as an error of ours."""
    import aiohttp

    try:
        yield
    except aiohttp.InvalidURL as error:
        raise InvalidPayload(f"`{url}` is not a URL.", option="url", value=url) from error
    except TimeoutError as error:
        raise ServiceUnavailable(
            f"`{_site(url)}` did not answer within {timeout_s:g} s.", service=_site(url)
        ) from error
    except (aiohttp.ClientError, OSError) as error:
        raise _failure(url, error) from error


async def _read(answer: OpenAnswer, max_bytes: int) -> Answer:
    pieces, size, response = [], 0, answer.response
    async for piece in answer.pieces():
        size += len(piece)
        if size > max_bytes:
            raise RequestRefused(f"The answer is larger than {max_bytes} bytes.", reason="too large", limit=max_bytes)
        pieces.append(piece)
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status, response.reason or "", headers, b"".join(pieces), _encoding(response))


def _encoding(response: "aiohttp.ClientResponse") -> str:
    """What the answer says of its text; UTF-8 where it says nothing, or nothing known."""
    try:
        return codecs.lookup(response.charset or "utf-8").name
    except LookupError:
        return "utf-8"


def _failure(url: str, error: Exception) -> RequestRefused | ServiceUnavailable:
    causes: list[BaseException | None] = [error, error.__cause__, getattr(error, "os_error", None)]
    refused = next((cause for cause in causes if isinstance(cause, _AddressRefusedError)), None)
    if refused:
        return RequestRefused(
            f"`{_site(url)}` may not be reached: {refused}. IMPORT_IP_ALLOW_LIST names exceptions.",
            reason="address refused", host=_site(url),
        )  # fmt: skip
    return ServiceUnavailable(f"`{_site(url)}` cannot be reached.", service=_site(url), reason=type(error).__name__)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_http = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_http = False
    if not is_http:
        raise InvalidPayload(f"`{url}` is not an `http://` or `https://` URL.", option="url", value=url)


def _site(url: str) -> str:
    """The host and port, without what may be secret in a URL."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _real(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)


def _networks(variable: str, texts: Sequence[str]) -> Networks:
    return tuple(_network(variable, text) for text in texts)


def _network(variable: str, text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidSettings(f"`{variable}`: `{text}` is not an address or a network.", variable=variable) from error
