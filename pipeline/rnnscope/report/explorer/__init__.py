"""What one explores on the page: single sequences, units and matches, as compact arrays."""
