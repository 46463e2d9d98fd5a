"""From outcomes to router state, off the serving path."""
