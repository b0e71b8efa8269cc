"""Stage extract: a trained model and the test split become states in Parquet, with proof."""
