"""Ask people for a root's codes and approvals, and show its key rotation."""
