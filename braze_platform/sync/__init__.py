"""Out: one ledger, plan and delivery a sync, from a dbt model's YAML to Braze's answer, and their assets."""
