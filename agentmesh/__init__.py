"""Route tasks to agents by learning from outcomes."""
