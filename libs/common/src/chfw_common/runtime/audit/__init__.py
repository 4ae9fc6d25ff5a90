"""The audit log: who changed what, when, by which token and request; a chain of hashes with signed checkpoints."""
