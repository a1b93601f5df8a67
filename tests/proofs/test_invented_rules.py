"""A rule that comes new into the specification has no theorem, whatever theorems its operation has."""

from __future__ import annotations

import json
import subprocess
import sys

# Theorems collect rules when they are imported: so it has to be there before, in a Python of its own.
INVENTS_RULES = """
import json, sys
import spec.step
from spec.rule import Check, Rule

invented = []
for operation in spec.step.OPERATIONS:
    if not operation.checks:
        continue
    rule = Rule(id=f"INVENTED.{operation.name}", sentence="It is new.", errno="EINVAL", source="nowhere")
    old, new = operation.checks, (*operation.checks, Check(rule, lambda profile, state, request: False))
    object.__setattr__(operation, "checks", new)
    for module in [module for name, module in sys.modules.items() if name.startswith("spec.")]:
        for name, value in list(vars(module).items()):
            if value is old:
                setattr(module, name, new)
    invented.append(rule.id)

from proofs.coverage import THEOREMS, rules_without_theorem

named = {rule for theorem in THEOREMS for rule in theorem.rules}
print(json.dumps([invented, rules_without_theorem(), sorted(named & set(invented))]))
"""


def test_a_rule_that_is_invented_has_no_theorem() -> None:
    ran = subprocess.run([sys.executable, "-c", INVENTS_RULES], capture_output=True, text=True, check=True, timeout=120)
    invented, without, named = json.loads(ran.stdout)
    assert len(invented) >= 20
    assert without == invented
    assert len(named) >= 18  # which theorems name all the same, as they name all rules of their operations
