"""Create, edit, test, share and delete a team's sessions, and set its policy."""
