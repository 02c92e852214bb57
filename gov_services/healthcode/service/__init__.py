"""The use-cases of the health code, one module each. They hold no SQL."""
