"""Training in two replicas: by two devices of one process, and by two processes."""

import json
import os
import socket
import subprocess
import sys

# Code that makes `strategy`, of two devices that are both the CPU.
TWO_DEVICES = """
import tensorflow as tf
[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
assert strategy.num_replicas_in_sync == 2
"""

# Code that makes `strategy` in a process that `run_two_workers` has started.
_TWO_WORKERS = """
import tensorflow as tf
# Before any op runs.
strategy = tf.distribute.MultiWorkerMirroredStrategy()
assert strategy.num_replicas_in_sync == 2
"""


def run_two_workers(code, timeout):
    """Runs code that uses `strategy` and prints JSON as its last line in two workers, for at most `timeout` seconds.
    Returns what each printed."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in _free_ports(2)]}
    workers = []
    for index in range(2):
        task = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "TF_CONFIG": json.dumps(task), "CUDA_VISIBLE_DEVICES": "-1"}
        command = [sys.executable, "-c", _TWO_WORKERS + code]
        workers.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
    try:
        ended = [worker.communicate(timeout=timeout) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    for worker, (_, errors) in zip(workers, ended, strict=True):
        assert worker.returncode == 0, errors[-5000:]
    return [json.loads(printed.splitlines()[-1]) for printed, _ in ended]


def _free_ports(count):
    """Ports of the loopback interface that were free a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
