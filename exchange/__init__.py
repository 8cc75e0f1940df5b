"""An open ping-post lead exchange."""
