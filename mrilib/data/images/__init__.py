"""Images that are not raw data: phantoms, and pictures from files."""
