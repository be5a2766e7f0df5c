"""PostgreSQL: a pool whose errors say whether to retry, and numbered migrations."""
