"""A chat model that chooses agents by reasoning: its prompt, its replies, and the router that asks it."""
