"""driver"""
from conformance.targets.c import build
NAIVE = build.HERE / "naive"
