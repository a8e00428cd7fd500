"""Embedders: phrases to vectors, behind one interface, for the semantic edges of the graph."""
