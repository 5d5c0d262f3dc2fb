"""The open data platform around Braze: Currents in, marts between, attributes out, as one asset graph."""
