"""Permits: the catalogue, applications from draft to decision, licences. It takes no money and knows no identity."""
