"""Measures the gateway beside others: one query over four replayed subgraphs, in one run. It serves nobody."""
