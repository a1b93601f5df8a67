"""KVM_ENABLE_CAP of KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2: who clears the dirty log, and how a new log starts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spec.memslots.call import CALL_CHECKS, Call
from spec.memslots.slot import Vm, has_flag
from spec.operation import Operation
from spec.outcome import Done
from spec.profile import Profile
from spec.rule import Check, Rule

MANUAL_PROTECT = 1
INITIALLY_SET = 2

# REQUEST ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EnableManualProtect(Call):
    """What `options` (64 bits) asks for: 0 off, 1 userspace clears the log, 3 and new logs start with every page set.

    `flags` must be 0.
    """

    options: int = 0
    flags: int = 0


# RULES -----------------------------------------------------------------------------------------------------------

FLAGS = Rule(
    id="KVM.MANUAL.FLAGS",
    sentence="Enabling the capability takes no flags.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c kvm_vm_ioctl_enable_cap_generic",
)
OPTIONS = Rule(
    id="KVM.MANUAL.OPTIONS",
    sentence="The options are 0, 1 or 3: logs can start with every page set only where userspace clears them.",
    errno="EINVAL",
    source="virt/kvm/kvm_main.c kvm_vm_ioctl_enable_cap_generic",
)


def has_flags(profile: Profile, vm: Vm, request: EnableManualProtect) -> bool:
    return request.flags != 0


def options_are_unknown(profile: Profile, vm: Vm, request: EnableManualProtect) -> bool:
    return request.options not in (0, MANUAL_PROTECT, MANUAL_PROTECT + INITIALLY_SET)


CHECKS = (
    *CALL_CHECKS,
    Check(FLAGS, has_flags),
    Check(OPTIONS, options_are_unknown),
)

# EFFECT ----------------------------------------------------------------------------------------------------------


def effect(profile: Profile, vm: Vm, request: EnableManualProtect) -> tuple[Vm, Done]:
    """The mode holds from now on; logs that exist keep their pages. It may be changed at any time."""
    after = replace(
        vm,
        manual_protect=has_flag(request.options, MANUAL_PROTECT),
        initially_dirty=has_flag(request.options, INITIALLY_SET),
    )
    return after, Done()


ENABLE_MANUAL_PROTECT = Operation("enable_manual_protect", EnableManualProtect, CHECKS, effect, changes_state=True)
