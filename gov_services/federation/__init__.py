"""A Federation v2 query planner and executor: supergraph text in, answers out. It knows nothing of the rest of us."""
