"""The settings: what a variable means (`model`, `values`) and where it is read (`sources`, `loading`).

A variable may stand in the environment, in `.env`, or in a YAML or JSON file named by `CONFIG_PATH`: the first wins.
"""

from datastead.settings.loading import load_settings
from datastead.settings.model import CompatibleProvider, CustomModel, Settings

__all__ = ["CompatibleProvider", "CustomModel", "Settings", "load_settings"]
