"""What the sandbox remembers: profiles, and the simulation's own state."""
