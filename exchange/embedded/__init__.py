"""Real PostgreSQL and Valkey in a data directory, started when somebody needs them and stopped when nobody does."""
