"""Pure functions of arrays that two or more analysis stages share."""
