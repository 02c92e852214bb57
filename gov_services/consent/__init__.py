"""Purpose, consent and disclosure: what may be read, why, and the value that proves it was decided and logged."""
