"""Who there is and what happens: people, campaigns, Canvases and a shop, day by day."""
