"""Small data files of the text package, and the scripts that build them: see README.md."""
