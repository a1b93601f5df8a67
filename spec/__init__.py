"""WHAT must hold: pure functions over immutable values and ordinary ints.

Start with `spec.memslots.slot` (the values), read one operation (`spec.memslots.set_region`),
and you know the shape of all of them:

    REQUEST   what the caller asks, field by field
    RULES     what may be wrong with it, in the order in which it is checked
    EFFECT    the state and the answer once no rule is broken

`spec.step.step` is the only way in which operations are applied.
Nothing here imports a solver, does I/O, or knows about the other rooms.
"""
