"""The front door: who is asking, with which trusted document, within which limits. It holds no database handle."""
