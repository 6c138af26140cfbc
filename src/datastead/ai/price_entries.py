"""The price list's entries in the database, `datastead_ai_prices`, and the counter that tells of a new one.

A module of its own, because it needs SQLAlchemy, which a script that only asks for a model's limits does not.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from datastead.ai.costs import declared_cost
from datastead.ai.price_list import Entry, PriceList
from datastead.data import system
from datastead.data.engine import Database, Transaction
from datastead.settings.prices import DeclaredCost, DeclaredLimits, DeclaredPrice

VERSION_NAME = "prices"

_prices = system.ai_prices
_versions = system.versions


async def refresh(prices: PriceList, database: Database, now_s: float) -> bool:
    """Reads the entries anew where one has been added; whether that was so. now_s: by a clock that never goes back."""
    prices.checked = now_s  # before it is waited for, so that the other calls do not all ask
    if prices.query is None:
        prices.query = database.prepare(_version())
    version = await database.fetch(prices.query, {})
    if version == prices.version:
        return False
    prices.keep(await database.read(_load), version)
    return True


async def add_entry(database: Database, price: DeclaredPrice, *, user: str | None, now: datetime) -> Entry:
    """Writes an entry that is valid from its own moment, or from now on."""
    row = {
        "id": str(uuid4()),
        "provider": price.provider,
        "model": price.model,
        "rates": price.model_dump(mode="json", include=set(DeclaredCost.model_fields), exclude_defaults=True),
        "limits": price.limits.model_dump(exclude_none=True) if price.limits else None,
        "valid_from": price.valid_from or now,
        "created_at": now,
        "user": user,
    }

    def work(transaction: "Transaction") -> None:
        transaction.execute(sa.insert(_prices), row)
        counted = sa.update(_versions).where(_versions.c.name == VERSION_NAME).values(version=_versions.c.version + 1)
        if transaction.execute(counted).rowcount == 0:
            transaction.execute(sa.insert(_versions), {"name": VERSION_NAME, "version": 1})

    await database.write(work)
    return _entry(row)


def _load(transaction: "Transaction") -> list[Entry]:
    return [_entry(row._asdict()) for row in transaction.execute(sa.select(_prices))]


def _entry(row: Mapping[str, Any]) -> Entry:
    declared = DeclaredCost.model_validate(row["rates"])
    limits = DeclaredLimits.model_validate(row["limits"]) if row["limits"] else None
    source = f"price list {row['created_at']:%Y-%m-%d}"
    cost = declared_cost(declared, source, row["valid_from"], caches_unasked=row["provider"] != "anthropic")
    user = str(row["user"]) if row["user"] else None
    return Entry(
        row["provider"], row["model"], row["valid_from"], cost, limits, str(row["id"]), row["created_at"], user
    )


def _version() -> sa.Select[Any]:
    return sa.select(_versions.c.version).where(_versions.c.name == sa.bindparam("name", VERSION_NAME, sa.String))
