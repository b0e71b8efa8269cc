"""Stage extract of states that were recorded elsewhere: checked, and written part by part."""
