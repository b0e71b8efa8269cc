"""Speed and memory of the extraction beside the ways it replaces: ``python -m tests.benchmarks``.

__main__.py      the works, their contenders and targets; paired runs; the table
contender.py     one run of one contender, in a process of its own
problem.py       the shared weights and data, and the float64 reference
ours.py          this project, in two functions
with_keras.py, with_torch.py, with_onnx.py    the others, each in its fastest setting
"""
