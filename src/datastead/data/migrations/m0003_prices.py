"""The price list, by which an administrator says what models cost."""

from datastead.data import system
from datastead.data.engine import Transaction


def upgrade(transaction: Transaction) -> None:
    """Creates it where the tables were made before it."""
    system.ai_prices.create(transaction.connection, checkfirst=True)
