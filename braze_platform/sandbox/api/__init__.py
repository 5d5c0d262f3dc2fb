"""Braze's REST API: what it takes, answers and limits, and the endpoints that steer the sandbox."""
