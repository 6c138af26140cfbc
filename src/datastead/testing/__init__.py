"""Public fakes, for tests of your own: they stand at the outermost seam, so that nothing has to be patched."""

from datastead.testing.simulator import Simulator

__all__ = ["Simulator"]
