"""Show the ledger to admins and auditors, and to members what is theirs."""
