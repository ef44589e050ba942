"""Start and stop sessions for a person, and move or end them after a change."""
