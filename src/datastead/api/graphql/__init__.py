"""GraphQL over HTTP: the root fields, each a call of one service, and how requests are answered."""
