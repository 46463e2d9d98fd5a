"""The command line: thin, and loaded a command at a time."""
