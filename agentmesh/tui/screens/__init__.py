"""What the app shows at a time, one screen a file."""
