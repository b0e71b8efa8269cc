"""Networks whose inner workings are known, put through the whole pipeline."""
