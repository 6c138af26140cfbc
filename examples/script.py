"""Without `async`: what a script does, and what it does when the model says no. Needs a provider: see docs/ai.md."""

import os

from datastead import AI
from datastead.errors import AIError

MODEL = os.environ.get("MODEL", "gpt-4.1-mini")

with AI() as ai:
    try:
        print(ai.generate_sync("Name three kinds of salt.", model=MODEL).text)
    except AIError as error:
        print(f"{error.code}: {error}")
