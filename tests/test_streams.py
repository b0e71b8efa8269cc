"""The end of a command, whatever its threads and processes are doing."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

LEAVING = """
import threading, time
from concurrent.futures import ThreadPoolExecutor
{work}
from rnnscope import streams
print("said")
streams.leave(3)
"""
AT_WORK = {
    "a pool of threads": "ThreadPoolExecutor(1).submit(time.sleep, 600)",
    "a thread that is waited for": "threading.Thread(target=time.sleep, args=[600]).start()",
    "the idle processes of a sweep": (
        "from joblib import Parallel, delayed\nParallel(2)(delayed(abs)(1) for _ in range(2))"
    ),
}


@pytest.mark.parametrize("work", AT_WORK.values(), ids=AT_WORK)
def test_a_command_that_failed_ends_while_others_are_at_work(work: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LEAVING.format(work=work)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"PYTHONUNBUFFERED": ""},
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "said\n", "")
