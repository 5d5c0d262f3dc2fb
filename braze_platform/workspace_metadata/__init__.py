"""What Currents does not carry: campaigns, canvases, segments and custom attribute types, with their history."""
