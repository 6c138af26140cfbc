"""The tables of attempts to log in, and of what may be done only so often."""

from datastead.data import system
from datastead.data.engine import Transaction


def upgrade(transaction: Transaction) -> None:
    """Creates them where they are missing."""
    system.logins.create(transaction.connection, checkfirst=True)
    system.limits.create(transaction.connection, checkfirst=True)
