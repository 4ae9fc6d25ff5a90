"""The scheduler's SQL: one module per aggregate."""
