"""The SQL of governance: one module and one .sql file per aggregate."""
