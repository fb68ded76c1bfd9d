"""Recorded experiments: grids of runs, kept as lines of JSON, read as tables, and checked again from the data."""
