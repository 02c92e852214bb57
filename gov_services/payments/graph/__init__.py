"""GraphQL types and resolvers of payments: translate in, one call, translate out. No SQL, no policy."""
