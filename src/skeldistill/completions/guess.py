"""How sure a completion may be of a joint that it filled in."""

import numpy as np

GUESS = np.float32(0.5)
"""A filled joint gets half of the mean score of those it was made from.

Above 0, since it is no longer lost and must count in what comes after; below every joint that it
rests on, so that a network that is given the scores can tell what was seen from what was guessed.
"""
