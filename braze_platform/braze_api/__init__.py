"""How Braze's REST API is called, whatever for: the guard on outward calls, one connection, pace and waits."""
