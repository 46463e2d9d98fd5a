"""The command line: a thin front end."""
