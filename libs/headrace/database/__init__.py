"""PostgreSQL: a pool whose errors say whether to try again, and numbered migrations."""
