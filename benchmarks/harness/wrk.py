"""Load by wrk (https://github.com/wg/wrk, Debian: apt install wrk): bodies of a file in turn, on one thread."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = """
local bodies = {}
for line in io.lines(os.getenv("BODIES")) do bodies[#bodies + 1] = line end
local headers = {["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. os.getenv("KEY")}
if os.getenv("HEADER") ~= "" then headers[os.getenv("HEADER")] = "true" end
local turn = 0
request = function()
  turn = turn % #bodies + 1
  return wrk.format("POST", nil, headers, bodies[turn])
end
done = function(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('\\n{"requests": %d, "failed": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f}\\n',
    summary.requests, failed, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


@dataclass(frozen=True)
class Load:
    """What wrk has seen."""

    requests: int
    failed: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Requests that were answered."""
        return (self.requests - self.failed) / self.seconds


def load(
    url: str, bodies: Path, key: str, *, connections: int, seconds: int, header: str = ""
) -> Load:
    """Post the lines of `bodies` for some seconds, with one more header where it is named; RuntimeError without wrk."""
    if shutil.which("wrk") is None:
        raise RuntimeError("wrk is missing (Debian: apt install wrk)")
    script = bodies.with_suffix(".lua")
    script.write_text(SCRIPT)
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", script]
    environment = os.environ | {"BODIES": str(bodies), "KEY": key, "HEADER": header}
    command = [*map(str, words), url]
    run = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return Load(**json.loads(run.stdout.strip().splitlines()[-1]))
