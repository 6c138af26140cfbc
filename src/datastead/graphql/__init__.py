"""GraphQL, without a server: the schema that exists for an actor, documents that are checked against it, and selections
that become queries. `graphql-core` is loaded with the first request.
"""
