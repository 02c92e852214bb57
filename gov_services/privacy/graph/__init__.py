"""GraphQL types and resolvers of the privacy room: translate in, one call, translate out. No SQL, no policy."""
