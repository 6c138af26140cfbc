"""The ledger's columns for embeddings, images, service tiers, tokens, cached answers and the provider's own cost."""

from datastead.data import system
from datastead.data.engine import Transaction
from datastead.data.migrations import add_missing_columns


def upgrade(transaction: Transaction) -> None:
    """Adds them to a ledger that was made before them."""
    add_missing_columns(transaction, system.ai_calls)
