"""The price list: what an administrator says that models cost, in the settings and in the database, by date.

A price that is changed is another entry; none is ever edited. A later date wins, then the database before the settings,
then what came last.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from datastead.ai.costs import Cost, declared_cost, rates_json
from datastead.ai.families import without_date
from datastead.ai.models import Limit, ModelDefinition
from datastead.ai.price_data import PACKAGE, known_elsewhere
from datastead.errors import InvalidRequest
from datastead.settings.prices import DeclaredLimits, DeclaredPrice

if TYPE_CHECKING:
    from datastead.data.engine import Prepared

POLL_S = 0.5
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a model costs from a moment on. id, created_at, user: None where the settings say it."""

    provider: str
    model: str
    valid_from: datetime
    cost: Cost
    limits: DeclaredLimits | None = None
    id: str | None = None
    created_at: datetime | None = None
    user: str | None = None


class PriceList:
    """The entries of the settings and of one database, in memory.

    version: of the database's entries. checked: when it was last compared, by a clock that never goes back, seconds.
    query: what reads the version, compiled.
    """

    def __init__(self, declared: Iterable[DeclaredPrice]) -> None:
        self._declared = [_declared(price) for price in declared]
        self._entries: dict[tuple[str, str], list[Entry]] = {}
        self.version: Any = None
        self.query: Prepared | None = None
        self.checked = float("-inf")
        self.keep((), None)

    def is_stale(self, now_s: float) -> bool:
        """Whether it is time to look again whether another process has added an entry."""
        return now_s - self.checked > POLL_S

    def keep(self, added: Iterable[Entry], version: Any) -> None:
        """Takes the database's entries in place of those before."""
        found: dict[tuple[str, str], list[Entry]] = {}
        for entry in sorted([*self._declared, *added], key=_order):
            found.setdefault((entry.provider, entry.model), []).append(entry)
        self._entries, self.version = found, version

    def priced(self, model: ModelDefinition, moment: datetime) -> ModelDefinition:
        """The model with the price that is valid at a moment, and the limits that come with it."""
        entries = self.of(model.provider, model.model)
        valid = valid_at(entries, moment)
        cost = valid.cost if valid else _known_at(model, moment)
        next_from = min((entry.valid_from for entry in entries if entry.valid_from > moment), default=None)
        if next_from is not None and (cost.valid_until is None or next_from < cost.valid_until):
            cost = replace(cost, valid_until=next_from)
        return replace(model, cost=cost, limit=_limit(model.limit, valid.limits if valid else None))

    def of(self, provider: str, model: str) -> list[Entry]:
        """The entries about a model, in order; of a dated id that nobody priced, those of the model."""
        return self._entries.get((provider, model)) or self._entries.get((provider, without_date(model)), [])

    def all(self, moment: datetime) -> list[dict[str, Any]]:
        """Every entry as JSON: by provider and model, then in order; those that hold at a moment are marked."""
        by_model = [self._entries[key] for key in sorted(self._entries)]
        return [_json(entry, valid_at(entries, moment)) for entries in by_model for entry in entries]

    def history(self, model: ModelDefinition, moment: datetime) -> list[dict[str, Any]]:
        """All that is known about a model's price, as JSON: without the list (also what will follow), and by it."""
        entries = self.of(model.provider, model.model)
        known = [_of_cost(model, cost) for cost in _known_from(model, moment)]
        valid = valid_at(entries, moment) or known[0]
        return [_json(entry, valid) for entry in (*known, *entries)]


def declared_price(values: Mapping[str, Any]) -> DeclaredPrice:
    """An entry from JSON, checked. Raises `InvalidRequest` that names what is wrong."""
    try:
        return DeclaredPrice.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        reason = problem["msg"].removeprefix("Value error, ")
        raise InvalidRequest(f"A price's `{where}`: {reason}.", path=where) from error


def valid_at(entries: list[Entry], moment: datetime) -> Entry | None:
    """The entry of a model that holds at a moment; None where none does yet."""
    return next((entry for entry in reversed(entries) if entry.valid_from <= moment), None)


def entry_json(entry: Entry, *, current: bool) -> dict[str, Any]:
    """JSON of an entry, with its rates in the shape in which they are declared. current: it holds now."""
    return {
        "id": entry.id,
        "provider": entry.provider,
        "model": entry.model,
        "valid_from": None if entry.valid_from == EPOCH else entry.valid_from.isoformat(),
        "current": current,
        "state": entry.cost.state,
        "source": entry.cost.source,
        "rates": rates_json(entry.cost),
        "tiers": {tier: rates_json(scale) for tier, scale in entry.cost.tiers},
        "limits": entry.limits.model_dump(exclude_none=True) if entry.limits else None,
        "created_at": entry.created_at.isoformat() if entry.created_at else None,
        "user": entry.user,
    }


def _json(entry: Entry, valid: Entry | None) -> dict[str, Any]:
    return entry_json(entry, current=entry is valid)


def _of_cost(model: ModelDefinition, cost: Cost) -> Entry:
    return Entry(model.provider, model.model, cost.valid_from or EPOCH, cost)


def _known_from(model: ModelDefinition, moment: datetime) -> list[Cost]:
    """The price at a moment, and those that are known to follow it."""
    found = [_known_at(model, moment)]
    while (until := found[-1].valid_until) is not None:
        found.append(_known_at(model, until))
    return found


def _known_at(model: ModelDefinition, moment: datetime) -> Cost:
    """The price of genai-prices as of a day; any other is what the definition says."""
    if not model.cost.source.startswith(PACKAGE):
        return model.cost
    found = known_elsewhere(model.provider, model.model, moment.astimezone(UTC).date())
    return model.cost if found is None else found.cost


def _limit(known: Limit, declared: DeclaredLimits | None) -> Limit:
    if declared is None:
        return known
    return Limit(declared.context or known.context, declared.output or known.output)


def _declared(price: DeclaredPrice) -> Entry:
    valid_from = price.valid_from or EPOCH
    cost = declared_cost(price, "AI_PRICES", price.valid_from, caches_unasked=price.provider != "anthropic")
    return Entry(price.provider, price.model, valid_from, cost, price.limits)


def _order(entry: Entry) -> tuple[datetime, datetime, str]:
    return entry.valid_from, entry.created_at or EPOCH, entry.id or ""
