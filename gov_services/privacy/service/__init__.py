"""The use-cases of the privacy room: consents, access history, review, erasure."""
