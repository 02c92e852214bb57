"""The use-cases of payments, a module for each: billing, paying, settling, reconciling, refunding, reading."""
