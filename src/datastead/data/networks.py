"""The addresses that a policy is for (`ip_access`). Pure; used wherever policies are read."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any


def networks_of(ip_access: Any) -> tuple[str, ...]:
    """Addresses, networks and ranges, from the column; empty = every address."""
    return tuple(part.strip() for part in str(ip_access or "").split(",") if part.strip())


def are_for(networks: Sequence[str], ip: str | None) -> bool:
    """Whether a policy with these is for an address; one that has some is not for who has none."""
    return not networks or (ip is not None and any(_is_in(ip, network) for network in networks))


def _is_in(ip: str, network: str) -> bool:
    """Also for a range written as `first-last`."""
    try:
        first, dash, last = network.partition("-")
        address = ip_address(ip)
        if dash:
            low, high = ip_address(first.strip()), ip_address(last.strip())
            return low.version == address.version == high.version and int(low) <= int(address) <= int(high)
        return address in ip_network(network, strict=False)
    except ValueError:
        return False  # an address that nobody can have
