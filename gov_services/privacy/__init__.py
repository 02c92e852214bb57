"""The fifth subgraph: a citizen's consents, access history and rights; an officer's review of access."""
