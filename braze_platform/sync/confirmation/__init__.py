"""What Braze itself tells of users and values: exports of profiles, and events in Currents."""
