"""GraphQL types and resolvers of healthcode: translate in, one call, translate out. No SQL, no policy."""
