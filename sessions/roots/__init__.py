"""Ask people for what a root needs, note its problems, replace its key."""
