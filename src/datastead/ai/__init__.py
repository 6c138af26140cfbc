"""Talks to models: one call path for every provider, with prices, budgets and a ledger. Knows no items and no flows."""
