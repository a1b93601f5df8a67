"""Feature words, bit by bit. These proofs use bit-vectors: they are about `|` of two words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from proofs.bugs import with_check
from proofs.claims import accepted, operation_of
from proofs.symbolic.bits import BITS
from proofs.symbolic.boolean import all_of, any_of, implies, negation
from proofs.theorem import UNBOUNDED, Bug, Theorem
from proofs.theorems.vhost.devices import about, after_without_runs
from spec.profile import Profile
from spec.rule import Check
from spec.vhost.device import Device, has_feature
from spec.vhost.features import OFFERED, SET_FEATURES, SetFeatures

WORD = 64  # bits of a feature word


def offered_check() -> Check:
    """The question that is asked for the rule: a planted bug replaces it."""
    return next(check for check in operation_of(SetFeatures()).checks if check.rule is OFFERED)


def always(profile: Profile, device: Device, request: SetFeatures) -> bool:
    """Any device, any request."""
    return True


def is_not_refused(profile: Profile, device: Device, request: SetFeatures) -> Any:
    """The request breaks no rule. The device is any."""
    return accepted(profile, device, request)


# CLAIMS ----------------------------------------------------------------------------------------------------------


def each_bit(holds: Callable[[int], Any]) -> list[Any]:
    return [holds(1 << place) for place in range(WORD)]


def refused_for_a_bit(profile: Profile, device: Device, request: SetFeatures) -> Any:
    """The rule is broken exactly if some bit is asked for and not offered."""

    def is_too_much(bit: int) -> Any:
        return all_of(has_feature(request.features, bit), negation(has_feature(profile.features, bit)))

    return offered_check().is_broken(profile, device, request) == any_of(*each_bit(is_too_much))


def agreed_bits_are_offered(profile: Profile, device: Device, request: SetFeatures) -> Any:
    """Each bit of what was agreed on is one that was asked for, and is offered."""
    agreed = after_without_runs(profile, device, request).features

    def is_right(bit: int) -> Any:
        was_asked = has_feature(agreed, bit) == has_feature(request.features, bit)
        return all_of(was_asked, implies(has_feature(agreed, bit), has_feature(profile.features, bit)))

    return all_of(*each_bit(is_right))


# PLANTED BUGS ----------------------------------------------------------------------------------------------------


def compares_words(profile: Profile, device: Device, request: SetFeatures) -> bool:
    """As if a smaller word had only bits of a larger one."""
    return request.features > profile.features


def asks_for_one_in_common(profile: Profile, device: Device, request: SetFeatures) -> bool:
    return request.features != 0 and (profile.features & request.features) == 0


# THEOREMS --------------------------------------------------------------------------------------------------------

THEOREMS: tuple[Theorem, ...] = tuple(
    replace(
        about(
            "set_features",
            suffix,
            sentence,
            "feature bits",
            given,
            claim,
            Bug(what, (with_check(SET_FEATURES, OFFERED, bug),)),
            UNBOUNDED,
            rules=(OFFERED.id,),
        ),
        arithmetic=BITS,
    )
    for suffix, sentence, given, claim, what, bug in (
        (
            "OFFERED",
            "Features are refused as not offered exactly if one of their 64 bits is not among those that the device "
            "offers, whatever words these are.",
            always,
            refused_for_a_bit,
            "words are compared as numbers",
            compares_words,
        ),
        (
            "AGREED",
            "Of the 64 bits that were agreed on each was asked for, and is offered.",
            is_not_refused,
            agreed_bits_are_offered,
            "one bit in common is enough",
            asks_for_one_in_common,
        ),
    )
)
