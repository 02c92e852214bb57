"""The use-cases of permits. They hold no SQL and no GraphQL."""
