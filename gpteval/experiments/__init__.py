"""Experiments: more units of a run, with an analysis on top."""
