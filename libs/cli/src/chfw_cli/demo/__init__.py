"""The demonstration: one seeded estate, one story, and a reconciliation of four independent views."""
