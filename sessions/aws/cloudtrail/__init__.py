"""Read CloudTrail records of any shape, and tell who is behind each."""
