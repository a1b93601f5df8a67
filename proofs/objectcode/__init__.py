"""Object code, run on symbols: what a compiled function does for every input, compared with what plain Python says.

`docs/objectcode.md` says how this is used and what has to be believed. In short:

* `elf` and `image`: an object file or a kernel module, its sections placed, its relocations done.
* `instructions` and `meaning`: machine instructions as p-code, and what each p-code operation computes.
* `memory`, `state`, `machine`: symbolic execution, path by path, with contracts in place of calls.
* `flow`: loops of a function. `relations`, `passes`: a proof by induction that a machine's loop is a model's.
* `btf`, `layouts`: where the fields of a struct are.
"""
