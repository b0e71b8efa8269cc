"""Stage intervention: how the model's loss and output change with a state changed for a while."""
