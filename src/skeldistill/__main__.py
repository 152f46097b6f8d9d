"""``python -m skeldistill`` is ``skeldistill``."""

from skeldistill.cli import main

if __name__ == "__main__":
    main()
