"""Watching runs in a terminal: what is known of them, where it comes from, and how it is shown."""
