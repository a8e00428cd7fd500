"""Topics: what a corpus's documents are about, as groups of words."""
