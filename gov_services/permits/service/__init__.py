"""Use-cases of permits, a module for each kind, with the errors they raise."""
