"""What the benchmarks share: an embedded cloud in a process of its own, one measured command, figures with targets."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TUTORIAL = ROOT / "examples/tutorial/zkprov.yaml"
# Virtual seconds of the embedded cloud in one second.
RATE = 40


class Cloud:
    """An embedded cloud that is served by a process of its own."""

    def __init__(self, binary, directory, rate=RATE):
        self.process = subprocess.Popen(
            [binary, "sandbox", "serve", f"--sandbox={directory}"], stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL, env={**clean(), "ZKPROV_SANDBOX_RATE": str(rate)})
        self.environment = {}
        # The last of the variables says that no credentials are wanted.
        while "CLOUDSDK_AUTH_DISABLE_CREDENTIALS" not in self.environment:
            line = self.process.stdout.readline()
            name, value = re.match(r"export (\w+)=(.*)", line).groups()
            self.environment[name] = value
        self.admin = self.environment["CLOUDSDK_API_ENDPOINT_OVERRIDES_FILE"] + "_sandbox/"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=20)

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.admin + path, method=method, data=data)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def delay(self, seconds):
        """Answers every request so much later, and begins to count requests."""
        self.ask("DELETE", "faults")
        self.ask("POST", "faults", {"effect": {"delay": {"milliseconds": int(seconds * RATE * 1000)}}})

    def counted(self):
        """Requests since the delay was set."""
        return self.ask("GET", "faults")["faults"][0]["matched"]

    def clear(self):
        self.ask("DELETE", "faults")


def measured(command, environment=None, codes=(0,)):
    """Runs a command: CPU seconds, peak MiB and wall seconds of that process alone, and its output."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, env={**clean(), **(environment or {})}, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode not in codes:
            sys.exit(f"{' '.join(map(str, command))}: exit {process.returncode}\n{(err.read() + out.read()).decode()[-2000:]}")
        return {
            "cpu": usage.ru_utime + usage.ru_stime,
            "memory": usage.ru_maxrss / 1024,
            "wall": wall,
            "out": out.read().decode(),
        }


def clean():
    """The environment without anything that points zkprov elsewhere."""
    ours = ("CLOUDSDK_", "GOOGLE_", "ZKPROV_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def fleet(size):
    """So many ensembles in one file, each with a cluster and a file server, in one zone of one project."""
    document = """apiVersion: zkprov.dev/v1
kind: Ensemble
metadata:
  name: zk-{n:04}
spec:
  project: my-project
  zone: us-east1-d
  fileServer:
    singleNode:
      name: fs-{n:04}
  cluster:
    name: cluster-{n:04}
  exhibitor:
    namespace: zk-{n:04}
    replicas: 3
"""
    return "---\n".join(document.format(n=n) for n in range(size))


def build(profile):
    """Builds the binary and returns its path."""
    subprocess.run(["cargo", "build", "--profile", profile, "-p", "zkprov"], cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / ("debug" if profile == "dev" else profile) / "zkprov"


class Report:
    """Figures with their targets."""

    def __init__(self):
        self.lines = []

    def missed(self):
        """Whether a figure misses its target."""
        return any(not line["held"] for line in self.lines)

    def add(self, name, value, unit, target=None):
        self.lines.append({"figure": name, "value": round(value, 2), "unit": unit, "target": target,
                           "held": target is None or value <= target})

    def show(self, as_json):
        if as_json:
            print(json.dumps(self.lines, indent=2))
            return
        for line in self.lines:
            target = "" if line["target"] is None else f"at most {line['target']} {line['unit']}".rstrip()
            verdict = "" if line["target"] is None else "held" if line["held"] else "MISSED"
            print(f"{line['figure']:<48} {line['value']:>9} {line['unit']:<4} {target:<18} {verdict}".rstrip())
