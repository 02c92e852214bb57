"""GovStack's consent API (bb-consent 1.1.0, 42 operations) over our ledger, purposes and drafts: a face."""
