"""The first arrays of a process, from several threads at once: OpenVINO must not hang."""

import subprocess
import sys

PROGRAM = """
import os, sys, threading
import numpy as np
import openvino as ov
from openvino import opset13 as op
import models.engines.openvino_engine

sys.setswitchinterval(1e-7)
given = op.parameter([-1, 4], ov.Type.f32)
compiled = ov.Core().compile_model(ov.Model([op.relu(given)], [given]), "CPU", {"NUM_STREAMS": 4})
requests = [compiled.create_infer_request() for _ in range(4)]
together = threading.Barrier(4)

def infer(request):
    together.wait()
    request.infer({0: np.ones((2, 4), np.float32)})

threads = [threading.Thread(target=infer, args=(request,), daemon=True) for request in requests]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(20)
os._exit(any(thread.is_alive() for thread in threads))
"""


def test_threads_that_are_first_together_do_not_wait_for_each_other() -> None:
    # Without what `openvino_engine` does on import, five of six such processes hang.
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", PROGRAM], timeout=120, check=False).returncode == 0
