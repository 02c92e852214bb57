"""Audit: the log that cannot be quietly changed. It records who may see what and why; it decides and opens nothing."""
