"""Packing objects into requests, sending them, and what each answer means for each object."""

from braze_platform.sync.delivery.requests import build_requests as build_requests
from braze_platform.sync.delivery.verdicts import interpret as interpret
