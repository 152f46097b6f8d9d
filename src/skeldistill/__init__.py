"""skeldistill: action recognition on cheap skeletons, taught by good ones."""

__version__ = "0.1.0"
