"""The price list, by which an administrator says what models cost."""

import sqlalchemy as sa

from datastead.data import system
from datastead.data.engine import Transaction


def upgrade(transaction: Transaction) -> None:
    """Creates it where the tables were made before it, and its counter, so that two first entries do not both do so."""
    system.ai_prices.create(transaction.connection, checkfirst=True)
    counter = sa.select(system.versions.c.version).where(system.versions.c.name == "prices")
    if transaction.execute(counter).first() is None:
        transaction.execute(sa.insert(system.versions), {"name": "prices", "version": 0})
