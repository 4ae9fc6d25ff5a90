"""Kafka, Postgres and the services as child processes of one supervisor: what `up`, the tests and CI run on."""
