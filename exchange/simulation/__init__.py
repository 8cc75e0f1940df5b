"""A seeded world around the exchange: people, sellers, native buyers with manners, and the judge of what they saw."""
