"""What the inventory knows, and what an observation or a load changes in it. Pure."""
