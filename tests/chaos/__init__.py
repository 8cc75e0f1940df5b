"""The exchange under fire: whole runs, a kill at every point that matters, and planted bugs for the checker."""
