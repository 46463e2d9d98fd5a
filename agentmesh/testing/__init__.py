"""Doubles, a loopback server and executable contracts for those who extend agentmesh."""
