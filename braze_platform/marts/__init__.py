"""Between: the dbt project as assets, its translator and its automation."""
