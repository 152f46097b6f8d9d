"""Robustness: how finished models do as skeletons get worse."""
