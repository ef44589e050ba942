"""Order and share out the locks of a team, and notice outdated versions."""
