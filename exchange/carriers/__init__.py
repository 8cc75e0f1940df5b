"""The ways in which a lead travels besides a buyer's own wire: as an e-mail, as a file, as a webhook's body."""
