"""The real broker: topics, the producer behind the outbox, and the aiokafka source."""
