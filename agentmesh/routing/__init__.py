"""Who should act: one router a file."""
