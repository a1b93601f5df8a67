"""Probed limits against what the kernel and the processor announce."""

from __future__ import annotations

import pytest

from conformance.target import TargetFailed
from conformance.targets.linux.profile import environment_from

# What Linux 6.1 said in a virtual machine with 40 physical address bits.
LINUX_6_1 = {
    "user_slots": "32764",
    "address_spaces": "2",
    "user_limit": str(2**47 - 4096),
    "max_gfn": str(2**28 - 1),
    "region2": "0",
    "guest_memfd": "absent",
    "memfd_rebind_errno": "EEXIST",
    "dirty_ring": "1",
    "smallest_dirty_ring": "4096",
    "version": "6.1.0",
    "fact.kvm_cap_nr_memslots": "32764",
    "fact.kvm_cap_multi_address_space": "2",
    "fact.cpuid_physical_bits": "40",
    "fact.cpuid_linear_bits": "48",
    "fact.cpuid_la57": "0",
}


def said(**changes: str) -> tuple[str, ...]:
    """The contradictions in what a kernel says that differs from 6.1 in this. `__` stands for a point."""
    answer = LINUX_6_1 | {name.replace("__", "."): value for name, value in changes.items()}
    hello = "".join(f"{name}={value}\n" for name, value in answer.items())
    return environment_from("linux-x", hello.encode(), {}).contradictions


def test_what_kernels_say_agrees() -> None:
    assert said() == ()
    assert said(max_gfn="none", user_slots="509", fact__kvm_cap_nr_memslots="509") == ()
    assert said(address_spaces="1", fact__kvm_cap_multi_address_space="0") == ()
    assert said(address_spaces="1", fact__kvm_cap_multi_address_space="1") == ()
    assert said(max_gfn=str(2**40 - 1), fact__cpuid_physical_bits="48") == (), "shadow paging"
    assert said(fact__cpuid_la57="1") == (), "the kernel need not use it"
    assert said(fact__cpuid_la57="1", user_limit=str(2**56 - 4096)) == ()
    assert said(smallest_dirty_ring="16384") == ()


def test_a_value_that_no_vector_is_published_for_is_fine_where_it_is_announced() -> None:
    assert said(max_gfn=str(2**24 - 1), fact__cpuid_physical_bits="36") == ()
    assert said(user_slots="1021", fact__kvm_cap_nr_memslots="1021") == ()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"user_slots": "32765"}, "user_slots is 32765 as probed, but KVM_CAP_NR_MEMSLOTS says 32764"),
        ({"user_slots": "509"}, "KVM_CAP_NR_MEMSLOTS says 32764"),
        ({"address_spaces": "1"}, "KVM_CAP_MULTI_ADDRESS_SPACE says 2"),
        ({"address_spaces": "2", "fact__kvm_cap_multi_address_space": "0"}, "KVM_CAP_MULTI_ADDRESS_SPACE says 0"),
        ({"max_gfn": str(2**28)}, "max_gfn is 0x10000000 as probed, but guest addresses have 40 or 52 bits"),
        ({"max_gfn": str(2**28 - 2)}, "max_gfn is 0xffffffe"),
        ({"fact__cpuid_physical_bits": "48"}, "guest addresses have 48 or 52 bits"),
        ({"user_limit": str(2**47)}, "user_limit is 0x800000000000 as probed"),
        ({"user_limit": str(2**56 - 4096)}, "user addresses of this processor end at 0x7ffffffff000"),
        ({"smallest_dirty_ring": "8192"}, "smallest_dirty_ring is 8192"),
        ({"memfd_rebind_errno": "Bad address"}, "memfd_rebind_errno is Bad address"),
    ],
)
def test_a_wrong_limit_is_not_taken_as_the_measure(changes: dict[str, str], what: str) -> None:
    (sentence,) = said(**changes)
    assert what in sentence


def test_without_an_announcement_nothing_agrees() -> None:
    hello = "".join(f"{name}={value}\n" for name, value in LINUX_6_1.items() if not name.startswith("fact."))
    sentences = environment_from("linux-x", hello.encode(), {}).contradictions
    assert [sentence.split()[0] for sentence in sentences] == ["user_slots", "address_spaces", "max_gfn"]


def test_an_answer_without_a_switch() -> None:
    with pytest.raises(TargetFailed, match="makes no sense"):
        environment_from("linux-x", b"user_slots=1\n", {})


def test_a_vhost_limit_that_is_not_the_modules_is_a_finding() -> None:
    vhost = {
        "vhost": "1",
        "features": str(0x33D008000),
        "max_regions": "64",
        "iotlb_limit": "2048",
        "iotlb_mode": "stays",
        "fact__vhost_max_mem_regions": "64",
        "fact__vhost_max_iotlb_entries": "2048",
    }
    assert said(**vhost) == ()
    (found,) = said(**{**vhost, "iotlb_limit": "2047"})
    assert "iotlb_limit is 2047 as probed, but the module's parameter says 2048" in found


def test_a_kernel_without_vhost_is_not_asked_about_it() -> None:
    answer = LINUX_6_1 | {"vhost": "0"}
    hello = "".join(f"{name}={value}\n" for name, value in answer.items())
    operations = environment_from("linux-x", hello.encode(), {}).operations
    assert "set_region" in operations and "set_mem_table" not in operations
