"""What an edge lets pass and how a hub behaves. Pure."""
