"""A market under fire: seeded sellers and buyers, a nemesis, and a checker that reads three witnesses afterwards."""
