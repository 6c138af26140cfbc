"""HTTP: parse, call one service, wrap. One file a resource; what they share is in `body`, `query_string`, `answers`."""
