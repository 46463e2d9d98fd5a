"""Stored runs, executed again."""
