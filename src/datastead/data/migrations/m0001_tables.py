"""The platform's tables, each where it is missing."""

from datastead.data import system
from datastead.data.engine import Transaction


def upgrade(transaction: Transaction) -> None:
    """Creates them. A database that Directus made has its `directus_*` tables already: they stay as they are."""
    system.metadata.create_all(transaction.connection, checkfirst=True)
