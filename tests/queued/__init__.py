"""Leads that wait for a buyer: what sellers are told, how a wait ends, and workers that are lost meanwhile."""
