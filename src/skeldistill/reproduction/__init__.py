"""Reproduction: both papers' tables as data, and what the user's views allow of them, trained."""
