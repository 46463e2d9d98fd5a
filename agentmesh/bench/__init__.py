"""Routers measured on recorded sets."""
