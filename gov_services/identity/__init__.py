"""Identity: who people, staff and clients are, and how surely. It decides nothing about what they may see."""
