"""What YAML says of a sync."""
