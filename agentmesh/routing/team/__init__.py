"""Teams: whom to ask next, whose answer to believe, and when to stop; learned from tables of answers."""
