"""The Smart Metering Inventory: the shared register of hubs, who answers for them, and what they run."""
