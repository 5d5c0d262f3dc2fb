"""The difference between model and ledger, its limits, and who approved it."""
