"""Checks of a committed notebook. Each takes the notebook (and what it was made from) and gives what is wrong."""
