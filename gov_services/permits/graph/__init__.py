"""GraphQL types and resolvers of permits: translate in, one call, translate out. No SQL, no policy."""
