"""The use-cases of identity: accounts, sessions, staff and clients, citizens, messages."""
