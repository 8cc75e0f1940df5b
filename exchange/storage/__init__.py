"""All SQL: one file for each thing that is stored."""
