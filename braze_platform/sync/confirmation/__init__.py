"""What Braze itself reports of users and values: exports of profiles, and events in Currents."""
