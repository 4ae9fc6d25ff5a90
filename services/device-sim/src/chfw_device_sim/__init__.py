"""The network and the hubs, simulated: CSP edges that obey the last halt, and a fleet of Communications Hubs."""
