"""Keys, envelopes, sealed columns, blind indexes, signatures, tokens, masks. It decides nothing about who may open."""
