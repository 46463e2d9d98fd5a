"""The recorded team that ``agentmesh demo`` runs."""
