"""chfw service."""
