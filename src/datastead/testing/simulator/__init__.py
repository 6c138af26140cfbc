"""The provider simulator: it speaks OpenAI's, Anthropic's and Google's wire formats, and fails as it is told to.

Deterministic: the same prompt gives the same answer. Its text is made from the prompt's words, not by a model.
"""

from datastead.testing.simulator.app import create_simulator
from datastead.testing.simulator.behaviour import Behaviour
from datastead.testing.simulator.server import Simulator

__all__ = ["Behaviour", "Simulator", "create_simulator"]
