"""Cloud Data Ingestion: a table that Braze reads when asked."""
