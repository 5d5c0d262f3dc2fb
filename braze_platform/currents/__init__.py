"""In: the catalogue of event types, the object-key grammar, the hourly loader, its assets and its sensor."""
