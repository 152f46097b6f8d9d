"""skeldistill: action recognition on cheap skeletons, taught by good ones."""

from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = "0.1.0"


def from_pretrained(path_or_repository: Path | str, **options: Any) -> Any:
    """The trained model of a path or of a Hugging Face repository, ready to name actions.

        skeldistill.from_pretrained("OWNER/NAME").recognise(clip)

    See `skeldistill.deploy.hub.from_pretrained`, which it calls; `import skeldistill` alone loads
    no torch.
    """
    # By name: whatever imports the package would else depend on all of its outlets.
    hub = import_module("skeldistill.deploy.hub")
    return hub.from_pretrained(path_or_repository, **options)
