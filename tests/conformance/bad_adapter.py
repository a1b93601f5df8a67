"""An adapter that is in order, but for one fault, named on its command line."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "conformance", "examples"))

import adapter  # the example: the fault is all that is added here

FAULT = sys.argv[1] if len(sys.argv) > 1 else ""
AT = int(sys.argv[2]) if len(sys.argv) > 2 else 2  # the vector of a batch at which the fault happens


def say(message: Any) -> None:
    print(json.dumps(message), flush=True)


def spoil(index: int, answer: Any, later: list[Any]) -> None:
    """Say an answer, or do what is wrong instead."""
    if index != AT:
        return say(answer)
    match FAULT:
        case "exit":
            print("out of cheese", file=sys.stderr, flush=True)
            os._exit(7)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(600)
        case "garbage":
            print("this is no JSON", flush=True)
        case "half a line":
            print('{"id": "', end="", flush=True)
            os._exit(0)
        case "unknown id":
            say({**answer, "id": "nobody"})
        case "twice":
            say(later[0])
        case "out of order":
            say(later[index + 1])
        case "too few results":
            say({**answer, "results": answer["results"][:-1]})
        case "bad result":
            say({**answer, "results": [{"gone": True} for _ in answer["results"]]})
        case "half a character":
            say({"id": answer["id"], "skipped": "\ud800"})
        case "markup in a trace":
            say({"id": answer["id"], "errored": "[/dev/kvm] is [bold]gone"})
        case "id is a list":
            say({**answer, "id": [answer["id"]]})
        case "real-time signal":
            os.kill(os.getpid(), 40)
        case "own crash":
            say({"id": answer["id"], "crashed": "me"})
        case "early footer":
            say({"ran": 1, "answers": index, "name": "example"})
        case "long line":
            print("x" * (2**24 + 10), flush=True)
        case "flood":
            while True:
                say(answer)
        case _:
            say(answer)


def footer(message: Any) -> Any:
    usual = {"ran": message["batch"], "answers": len(message["vectors"]), "name": "example"}
    match FAULT:
        case "no footer":
            os._exit(0)
        case "other name":
            return {**usual, "name": "somebody"}
        case "wrong count":
            return {**usual, "answers": 1}
        case "one more":
            return {"id": "extra", "results": []}
    return usual


def start(who: Any) -> Any:
    match FAULT:
        case "wrong name":
            who["start"]["name"] = "linux"
        case "wrong protocol":
            who["protocol"] = 2
        case "wrong operation":
            who["start"]["operations"] = ["frobnicate"]
        case "operation is a list":
            who["start"]["operations"] = [["set_region"]]
        case "environment is a list":
            who["start"]["environment"] = [1]
        case "environment of numbers":
            who["start"]["environment"] = {"cores": 2}
        case "half a version":
            who["start"]["version"] = "1.\ud800"
        case "version is a list":
            who["start"]["version"] = ["1"]
        case "wrong profile":
            who["start"]["profile"] = {}
        case "silent":
            time.sleep(600)
        case "gone":
            os._exit(3)
    return who


def main() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        if message["cmd"] == "stop":
            if FAULT == "deaf":
                continue
            if FAULT == "talks on":
                say({"stop": "ok"})
                say({"one": "more"})
                os._exit(0)
            if FAULT == "bad status":
                say({"stop": "ok"})
                os._exit(5)
        said = list(adapter.answers(message)) if message["cmd"] != "stop" else [{"stop": "ok"}]
        if message["cmd"] == "start":
            say(start(said[0]))
        elif message["cmd"] == "run":
            for index, answer in enumerate(said[:-1]):
                spoil(index, answer, said)
            say(footer(message))
        else:
            say(said[0])
        if message["cmd"] == "stop":
            return


main()
