"""Contracts that CrossHair confirms: the spec's leaf functions, of fixed arity, on scalars and single records.

Each function here asks the spec something and says in its `post` what the answer must be, for all arguments that its
`pre` admits. The spec's functions have no contracts of their own: CrossHair would swallow a violated one.
"""
