"""Permits in GraphQL: types, inputs, payloads, root fields. No SQL, no policy."""
