#!/usr/bin/env python3
"""A worker for Hansom in Python, with nothing but the standard library.

Hansom keeps the saga; this process performs some of its activities. It claims attempts over HTTP,
performs them, says meanwhile that it is alive, and answers. Start a server that leaves an activity
to it, and then the worker:

    HANSOM_REMOTE=complete_drive ./up
    python3 examples/python/worker.py complete_drive

It may be killed at any moment: what it held is claimed by another when its time is over. So an
effect must change nothing when it is repeated; `task["idempotency_key"]` is the same each time.
"""

import argparse
import http.client
import json
import os
import random
import signal
import sys
import threading
import time
import urllib.error
import urllib.request


# --- What to perform -----------------------------------------------------------------------------

class Refused(Exception):
    """A business no: final, and nothing has happened. The argument has the activity's own shape."""


class Retry(Exception):
    """It may work later. `after`, such as "5s", is the earliest."""

    def __init__(self, reason, after=None):
        super().__init__(reason)
        self.after = after


ACTIVITIES = {}


def activity(function):
    """Registers a function by its name. What it returns is the activity's output, as JSON."""
    ACTIVITIES[function.__name__] = function
    return function


@activity
def mark_call(request, task):
    task.say(f"to the rider of call {request['call_id']}: {request['status']}")


@activity
def complete_drive(request, task):
    task.say(f"to the driver of call {request['call_id']}: the drive is over, thank you")


# --- How to talk to the server -------------------------------------------------------------------

class Lost(Exception):
    """Another has the attempt now, or it has been answered: nothing is left to do."""


def ask(path, body, timeout=10):
    """One request. Raises OSError when the server is away, or busy, or being stopped, and when its
    answer was cut off on the way or is somebody else's."""
    request = urllib.request.Request(
        OPTIONS.url + path, json.dumps(body).encode(), {"content-type": "application/json"})
    try:
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            status, problem = error.code, json.load(error)
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"no answer: {error!r}") from None
    if status == 409:
        raise Lost(problem["detail"])
    if status >= 500 or status == 429:
        raise OSError(problem["detail"])
    raise ValueError(f"{problem['code']}: {problem['detail']}")


def patiently(path, body, until=float("inf")):
    """The same, again and again while the server is away: 0.1 s to 5 s between, with jitter."""
    wait = 0.1
    while True:
        try:
            return ask(path, body)
        except OSError as error:
            if time.monotonic() >= until:
                raise
            log(f"{path}: {error}")
        time.sleep(wait * random.uniform(0.5, 1.5))
        wait = min(wait * 2, 5)


class Task:
    """One attempt. While it is performed a thread of its own keeps it alive."""

    def __init__(self, given):
        self.given = given
        self.details = given["details"]  # what an earlier attempt said last
        self.cancelled = False  # the saga unwinds: what this does will be undone
        self.ended = threading.Event()

    def __getitem__(self, key):
        return self.given[key]

    def say(self, text):
        log(f"{self['activity']} attempt {self['attempt']} of {self['idempotency_key']}: {text}")

    def progress(self, details):
        """How far it is: goes out with the next heartbeat, and to the next attempt if need be."""
        self.details = details

    def beat(self):
        while not self.ended.wait((self["heartbeat_ms"] or 10_000) / 3_000):
            try:
                body = {"token": self["token"], "details": self.details}
                self.cancelled = ask("/v1/tasks/heartbeat", body)["cancel_requested"]
            except (OSError, ValueError) as error:
                log(f"heartbeat: {error}")
            except Lost:
                return

    def perform(self):
        """Performs it and answers, whatever happens."""
        heart = threading.Thread(target=self.beat, daemon=True)
        heart.start()
        try:
            answer = self.answer()
        finally:
            self.ended.set()
        try:
            # After a minute it is another's in any case.
            patiently(*answer, until=time.monotonic() + 60)
            self.say("answered")
        except Lost:
            self.say("lost: it was too late, or answered already")
        except ValueError as error:
            self.say(f"the answer does not fit: {error}")
            patiently("/v1/tasks/fail", {"token": self["token"], "reason": str(error)})

    def answer(self):
        body = {"token": self["token"]}
        try:
            self.say("begins")
            time.sleep(OPTIONS.takes)
            body["output"] = ACTIVITIES[self["activity"]](self["request"], self)
            return "/v1/tasks/complete", body
        except Refused as no:
            return "/v1/tasks/fail", body | {"refused": no.args[0] if no.args else None}
        except Retry as later:
            return "/v1/tasks/fail", body | {"reason": str(later), "retry_after": later.after}
        except Exception as error:  # whatever it is, the server says what follows
            return "/v1/tasks/fail", body | {"reason": f"{type(error).__name__}: {error}"}


# --- The loop ------------------------------------------------------------------------------------

STOPPING = threading.Event()


def work():
    """Claims one after the other until it is told to stop."""
    wait = 0.1
    while not STOPPING.is_set():
        claim = {"queues": OPTIONS.queues, "worker": OPTIONS.name, "limit": 1, "wait": "30s"}
        try:
            tasks = ask("/v1/tasks/claim", claim, timeout=40)["tasks"]
            wait = 0.1
        except OSError as error:
            log(f"claim: {error}")
            STOPPING.wait(wait * random.uniform(0.5, 1.5))
            wait = min(wait * 2, 5)
            continue
        except (Lost, ValueError) as error:
            log(f"claim: {error}")
            return STOPPING.set()
        for task in tasks:
            BUSY.acquire()
            try:
                Task(task).perform()
            except Exception as error:
                log(f"gave up: {error}")
            finally:
                BUSY.release()


def log(text):
    # In one piece: of two threads that print, neither breaks into the other's line.
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main():
    global OPTIONS, BUSY
    options = argparse.ArgumentParser(description="Performs activities of a Hansom server.")
    options.add_argument("queues", nargs="*", default=sorted(ACTIVITIES), metavar="QUEUE")
    options.add_argument("--url", default=os.environ.get("HANSOM_URL", "http://127.0.0.1:8088"))
    options.add_argument("--name", default=f"{os.uname().nodename}:{os.getpid()}")
    options.add_argument("--threads", type=int, default=4)
    options.add_argument("--takes", type=float, default=0, metavar="SECONDS",
                         help="as if each attempt took so long: to see what a kill does")
    OPTIONS = options.parse_args()
    # One place for each thread: all are free when nothing is under way.
    BUSY = threading.Semaphore(OPTIONS.threads)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: STOPPING.set())
    for _ in range(OPTIONS.threads):
        threading.Thread(target=work, daemon=True).start()
    log(f"{OPTIONS.name} performs {', '.join(OPTIONS.queues)}")
    while not STOPPING.wait(1):
        pass
    log("stopping")
    # What is under way is finished. Who still waits for work leaves: a claim nobody reads is
    # given back by the server.
    for _ in range(OPTIONS.threads):
        BUSY.acquire()
    log("stopped")


if __name__ == "__main__":
    sys.exit(main())
