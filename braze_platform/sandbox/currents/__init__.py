"""Braze Currents: the events of a day, written as Avro files into the bucket."""
