"""The symbolic engine: ordinary Python, run on exact symbolic values, once for each feasible path.

    boolean, integer    values that stand for any bool and any int of a range; ints never wrap
    explorer            runs a function once for each way in which its branches can go
    anyset              a set of any size, known only by what is asked of it: for proofs
    fewset              a set of at most k members: for witnesses and counterexamples, which become plain values
    trees       trees of any size, which unfold as far as code looks at them; choice: one int out of two
    pages, record       arbitrary sets of pages; records of arbitrary values
    sequence            short sequences of arbitrary records, and sequences that nobody looks into
    concrete            from a solver's model back to plain Python values
    other_threads       z3 is told, before anything is asked of it, that other threads may let terms go

The spec does not know about any of this. It compares, adds and asks its sets, and these values answer with formulas.
"""

from proofs.symbolic.other_threads import expect_other_threads

expect_other_threads()
