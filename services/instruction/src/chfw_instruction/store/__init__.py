"""The SQL of intake: one module and one .sql file per aggregate."""
