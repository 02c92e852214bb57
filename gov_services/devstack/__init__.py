"""What a developer's machine lacks: PostgreSQL, Valkey and stand-ins for the outside world. Never in production."""
