"""Use-cases of healthcode, a module for each kind, with the errors they raise."""
