"""Runs a command under a seccomp profile as container runtimes read it: confined.py PROFILE COMMAND…"""

import json
import os
import sys

import pyseccomp

profile, *command = sys.argv[1:]
with open(profile, encoding="utf-8") as file:
    profile = json.load(file)
assert profile["defaultAction"] == "SCMP_ACT_ERRNO", profile["defaultAction"]
confinement = pyseccomp.SyscallFilter(pyseccomp.ERRNO(1))
for group in profile["syscalls"]:
    assert group["action"] == "SCMP_ACT_ALLOW", group["action"]
    for name in group["names"]:
        try:
            confinement.add_rule(pyseccomp.ALLOW, name)
        except (OSError, RuntimeError, ValueError) as error:
            # Of another architecture: there it counts, here there is none.
            print(f"confined.py: {name}: {error}", file=sys.stderr)
confinement.load()
os.execv(command[0], command)
