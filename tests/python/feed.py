"""The server half of the daemon, fed with jumps that are made up (`timejump-feed`)."""

import json
import pathlib
import subprocess

# Seconds that anything may take on a slow machine.
PATIENCE = 60


class Feed:
    """A running feed. Its jumps are numbered from 1 on."""

    def __init__(self, binary, home, *arguments):
        self.socket = pathlib.Path(home) / "timejump.sock"
        state = pathlib.Path(home) / "state"
        self.process = subprocess.Popen(
            [binary, "--socket", self.socket, "--state-dir", state, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the feed ended with {self.process.wait()}")
        self.listeners = {listener["kind"]: listener for listener in json.loads(line)["listeners"]}

    @property
    def target(self):
        """Where grpcio finds it."""
        return f"unix:{self.socket}"

    def tell(self, *lines):
        """Lets things happen."""
        self.process.stdin.write("".join(json.dumps(line) + "\n" for line in lines))
        self.process.stdin.flush()

    def jumps(self, count, delta_ns=1_000_000_000, **fields):
        """Lets that many jumps happen."""
        self.tell(*[{"delta_ns": delta_ns, **fields}] * count)

    def end(self):
        """Lets it end by itself."""
        self.process.stdin.close()
        return self.process.wait(PATIENCE)

    def kill(self):
        """Ends it however it stands."""
        self.process.kill()
        self.process.wait()
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.stdout.close()
