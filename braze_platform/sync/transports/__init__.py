"""The ways to Braze: Track Users, its bulk sibling, Cloud Data Ingestion."""
