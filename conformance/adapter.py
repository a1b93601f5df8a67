"""Speak the protocol (docs/protocol.md) for an implementation that Python can reach.

    if __name__ == "__main__":
        sys.exit(serve(MyTarget()))

where MyTarget has start, run and stop, as in `conformance.target`. Standard output belongs to the protocol from
then on: what the implementation prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any, TextIO

from conformance.codec import answer_json, canonical, profile_json, trial_from
from conformance.fields import FormatError
from conformance.target import Environment, Errored, Target, TargetFailed, TargetUnavailable, Trial

PROTOCOL = 1


def serve(target: Target, requests: TextIO | None = None, answers: TextIO | None = None) -> int:
    """Answer requests until told to stop. Returns the exit status: 0, or 2 with a sentence on standard error."""
    source = sys.stdin if requests is None else requests
    out = claim_stdout() if answers is None else answers
    try:
        return converse(target, source, out)
    except (TargetUnavailable, TargetFailed, FormatError, ValueError) as error:
        print(f"adapter: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 2
    finally:
        target.stop()


def claim_stdout() -> TextIO:
    """The real standard output for the protocol alone; prints of the implementation go to standard error."""
    sys.stdout.flush()
    mine = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return mine


def say(out: TextIO, message: dict[str, Any]) -> None:
    out.write(canonical(message) + "\n")
    out.flush()


def converse(target: Target, source: TextIO, out: TextIO) -> int:
    environment: Environment | None = None
    for line in source:
        message = json.loads(line)
        command = message.get("cmd")
        if command == "start":
            environment = target.start()
            say(out, {"start": start_json(environment), "protocol": PROTOCOL})
        elif command == "config":
            say(out, {"config": "ok"})
        elif command == "run" and environment is not None:
            count = run_batch(target, message, out)
            say(out, {"ran": message["batch"], "answers": count, "name": environment.name})
        elif command == "stop":
            target.stop()
            say(out, {"stop": "ok"})
            return 0
        else:
            raise ValueError(f"cannot do {command!r} now")
    raise ValueError("the input ended before a stop")


def start_json(environment: Environment) -> dict[str, Any]:
    facts = dict(environment.facts)
    return {
        "name": environment.name,
        "version": environment.version,
        "build": facts.pop("build", ""),
        "environment": facts,
        "operations": list(environment.operations),
        "profile": profile_json(environment.profile),
    }


def run_batch(target: Target, message: dict[str, Any], out: TextIO) -> int:
    """Answer each vector of a batch as soon as it is done. A Python error costs one vector, not the batch."""
    trials = [trial_from(document, f"$.vectors[{i}]") for i, document in enumerate(message["vectors"])]
    for trial in trials:
        say(out, answer_json(answered(target, trial)))
    return len(trials)


def answered(target: Target, trial: Trial) -> Any:
    try:
        answers = list(target.run([trial]))
    except Exception:
        return Errored(trial.id, traceback.format_exc())
    if len(answers) != 1:
        return Errored(trial.id, f"{len(answers)} answers to one vector")
    return answers[0]
