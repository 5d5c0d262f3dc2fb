"""Where SQL runs: one small interface, with DuckDB behind it as the embedded default."""
