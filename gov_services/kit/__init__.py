"""What every room needs and no room owns: time, ids, actors, errors, settings, database. It knows no domain."""
