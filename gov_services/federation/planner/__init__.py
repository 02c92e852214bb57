"""From a valid operation to a plan of fetches, in named passes. It does no I/O and never sees a variable's value."""
