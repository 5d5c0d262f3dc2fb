"""A Braze for one machine: its API, its people, and campaigns that write Currents."""
