"""Key phrases: candidates, extractors behind one interface, and one ranking per corpus."""
