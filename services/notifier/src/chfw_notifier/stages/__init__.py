"""What the notifier does: announce a release, know the Parties, tell each of them its own part."""
