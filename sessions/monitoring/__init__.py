"""Count events, show signs of life, and limit how often somebody may ask."""
