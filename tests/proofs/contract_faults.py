"""A fault for each function that has a contract: what it becomes, and the contract that must be refuted then."""

from __future__ import annotations

from tests.proofs.contract_fault import Fault
from tests.proofs.contract_faults_of_memslots import ACCESS, DIRTY_LOG, LOOKUP, SET_REGION, SLOT, UNITS, WITH_A_SLOT
from tests.proofs.contract_faults_of_the_models import MODELS, VHOST_MODELS
from tests.proofs.contract_faults_of_vhost import ADDRESS_MAP, DEVICE, MESSAGES, REGIONS, WITH_A_MAP

FAULTS: tuple[Fault, ...] = (
    *UNITS,
    *ACCESS,
    *SLOT,
    *DIRTY_LOG,
    *SET_REGION,
    *ADDRESS_MAP,
    *DEVICE,
    *MESSAGES,
    *REGIONS,
    *MODELS,
    *LOOKUP,
    *WITH_A_SLOT,
    *WITH_A_MAP,
    *VHOST_MODELS,
)
