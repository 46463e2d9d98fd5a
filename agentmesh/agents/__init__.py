"""Who can act: agents, their capability vectors, the registry and the refining agent."""
