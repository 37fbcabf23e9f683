"""Holds a running service to its own OpenAPI document: no 5xx, and every answer as it is described there.

    python tests/schemathesis/run.py --binary target/debug/homolog [--max-examples 100] [--phases …] [--seed 1]

Starts the service on a free port with the demo bundle, a store of its own and a registered dataset, makes one evaluation, and
lets Schemathesis loose on all routes. Fails with its report; the service's log is printed where the service is to blame.
"""

import argparse
import base64
import collections
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PICTURES = ROOT / "tests/golden/images"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


class Service:
    """The service, started as an operator would."""

    def __init__(self, binary, folder):
        models = folder / "models"
        models.mkdir()
        # the demo alone, whatever else lies in the repository's folder
        (models / "demo").symlink_to(ROOT / "models" / "demo")
        command = [binary, "serve", "--listen", "127.0.0.1:0", "--models", models]
        command += ["--eval-store", folder / "evaluations.sqlite", "--register", "boats=simple@openapi/examples/boats"]
        self.log = collections.deque(maxlen=5000)
        self.url = None
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        threading.Thread(target=self.read, daemon=True).start()
        self.wait(lambda: self.url, "says where it listens")
        self.wait(self.ready, "is ready")

    def read(self):
        for line in self.process.stdout:
            self.log.append(line)
            address = re.search(r"http://[\d.]+:\d+", line)
            if address and not self.url:
                self.url = address.group()

    def wait(self, done, what, seconds=120):
        end = time.monotonic() + seconds
        while not done():
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit(f"the service never {what}:\n{''.join(self.log)}")
            time.sleep(0.1)

    def ready(self):
        try:
            return self.get("/health/ready")
        except urllib.error.HTTPError:
            return None

    def get(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def evaluation(self):
        """The id of an evaluation that is done."""
        made = self.get("/eval", {"dataset": "boats"})["id"]
        self.wait(lambda: self.get(f"/eval/{made}")["state"] == "done", "finished an evaluation")
        return made

    def keep(self, picture):
        """Has a picture kept, to be named by its id."""
        self.get("/images", {"base64": base64.b64encode(picture.read_bytes()).decode()})

    def stop(self):
        """Whether it still ran, and ended as it should."""
        ran = self.process.poll() is None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60) == 0 and ran
        except subprocess.TimeoutExpired:
            self.process.kill()
            return False


def show(file):
    """Prints how each route answered; gives those that never did what they are there for."""
    answers = collections.defaultdict(list)
    for route, status, times in json.loads(file.read_text()):
        # methods that a route does not have are tried too
        if status != 405:
            answers[route].append((status, times))
    for route, counts in sorted(answers.items()):
        print(f"{route:28}" + "  ".join(f"{status}: {times}" for status, times in counts))
    return [route for route, counts in answers.items() if min(status for status, _ in counts) >= 300]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, required=True, help="the service's binary")
    parser.add_argument("--max-examples", type=int, default=100, help="requests of each phase to each route")
    parser.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    parser.add_argument("--seed", default="1")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        service = Service(options.binary.resolve(), Path(folder))
        answers = Path(folder) / "answers.json"
        service.keep(PICTURES / "rgb.png")
        environment = dict(
            os.environ,
            SCHEMATHESIS_HOOKS=str(HERE / "hooks.py"),
            HOMOLOG_URL=service.url,
            HOMOLOG_EVALUATION=service.evaluation(),
            HOMOLOG_PICTURES=str(PICTURES),
            HOMOLOG_ANSWERS=str(answers),
        )
        command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
        command += ["run", service.url + "/openapi.json", "--checks", CHECKS, "--phases", options.phases]
        command += ["--max-examples", str(options.max_examples), "--seed", options.seed, "--request-timeout", "60"]
        command += ["--generation-database", "none", "--continue-on-failure", "--warnings", "off", "--no-color"]
        failed = subprocess.run(command, cwd=folder, env=environment).returncode
        idle = show(answers)
        stopped = service.stop()
        panics = [line for line in service.log if "panic" in line]
        if not stopped or panics:
            print("".join(panics or service.log), file=sys.stderr)
            sys.exit("the service panicked" if panics else "the service did not run to its end")
        if idle:
            sys.exit(f"only ever refused, so that nothing was checked (see hooks.py): {', '.join(idle)}")
        sys.exit(failed)


if __name__ == "__main__":
    main()
