"""Taking up a new market: read and compiled beside the pings, handed over in pieces, and the old one let go."""
