"""GraphQL: reading and writing items with one request. `graphql-core` is loaded with the first one."""
