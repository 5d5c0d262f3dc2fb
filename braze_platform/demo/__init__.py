"""The main job on one machine: sandbox, Dagster and two rounds of the loop, watched and summed up."""
