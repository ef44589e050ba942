"""Compare files with a team's sessions, and save what was chosen of them."""
