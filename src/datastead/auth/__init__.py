"""Who is calling: tokens, logging in, and the first administrator."""
