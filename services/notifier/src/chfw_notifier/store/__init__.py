"""The SQL of the notifier: one module and one .sql file per aggregate."""
