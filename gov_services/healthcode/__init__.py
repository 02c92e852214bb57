"""Health code: declared facts, rules as data, a signed code for minutes. It knows no whereabouts."""
