"""In the user's own process, a notebook or a script: a model and sequences become states.

Nothing is imported here: states in files are opened without TensorFlow.
"""
