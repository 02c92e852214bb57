"""GraphQL types and resolvers of identity: translate in, one call, translate out. No SQL, no policy."""
