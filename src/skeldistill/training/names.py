"""What files are called, for those who look for them and need no torch."""

FEATURES = "features.npz"
"""What the report draws features and responses from, in the experiment's folder."""
