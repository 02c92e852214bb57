"""The `gov-services` command: wires rooms together and talks to a terminal. It decides nothing."""
