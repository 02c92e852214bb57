"""gov-services: one backend for all a citizen does with a city. It holds the rooms and re-exports nothing."""
