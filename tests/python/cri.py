"""A container runtime that is made up (`timejump-cri`)."""

import json
import pathlib
import subprocess


class Cri:
    """A running one. Its clock is the machine's, but for the jumps that it is told of."""

    def __init__(self, binary, home, *arguments):
        self.socket = pathlib.Path(home) / "cri.sock"
        self.process = subprocess.Popen(
            [binary, "--socket", self.socket, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if not self.process.stdout.readline():
            raise RuntimeError(f"the runtime ended with {self.process.wait()}")

    def tell(self, command):
        """Gives a command; its answer."""
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer
        return answer

    def kill(self):
        """Ends it."""
        self.process.kill()
        self.process.wait()
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.stdout.close()
