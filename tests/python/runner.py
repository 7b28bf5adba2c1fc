"""Runs tests one by one, and prints a line for each as it ends."""

import time
import unittest


class Told(unittest.TestResult):
    """A line for each test, as it ends."""

    def __init__(self):
        super().__init__()
        self.passed = 0
        self.wrong = 0

    def startTest(self, test):
        super().startTest(test)
        self.begun = time.monotonic()
        self.sound = True

    def fail(self, test, error):
        self.sound = False
        print(f"{test}: {self._exc_info_to_string(error, test)}", flush=True)

    def addError(self, test, err):
        self.fail(test, err)

    def addFailure(self, test, err):
        self.fail(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.fail(subtest, err)

    def stopTest(self, test):
        super().stopTest(test)
        self.passed += self.sound
        self.wrong += not self.sound
        name = test.id().rsplit(".", 1)[-1].removeprefix("test_")
        print(f"{'ok' if self.sound else 'FAILED'} {name} ({time.monotonic() - self.begun:.1f} s)", flush=True)


def tests(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests(test)
        else:
            yield test


def run(module, names):
    """Runs a module's tests, or those whose names hold one of `names`. Gives the exit status."""
    result = Told()
    for test in tests(unittest.defaultTestLoader.loadTestsFromModule(module)):
        if not names or any(name in test.id() for name in names):
            test.run(result)
    print(f"{result.passed} passed, {result.wrong} failed")
    return 0 if result.passed and not result.wrong else 1
