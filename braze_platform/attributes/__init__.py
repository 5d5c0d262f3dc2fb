"""Out: sync declarations, canonical values, plan, requests, verdicts, ledger, transports, their assets."""
