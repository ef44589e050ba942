"""Compare what CloudTrail recorded with what the ledger says was issued."""
