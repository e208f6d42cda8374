"""What was planned and what was run: rows, plans, run records, and studies read back."""
