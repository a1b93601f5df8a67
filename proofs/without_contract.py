"""Functions of spec/ and model/ that look at a fixed number of scalars and have no contract, each with the reason."""

from __future__ import annotations

ONE_FIELD = "It is one field of a request or a profile, as it is."
CONSTANT = "It is always the same: what it stands for is not specified here, or is a theorem."
EXPLORER = "It is part of the search through all orders of steps, which tries it out as a whole."
NO_VALUE = "It makes an object, or nothing; there is no value to say something about."

WITHOUT_CONTRACT: dict[str, str] = {
    "spec.memslots.call.comes_from_a_stranger": ONE_FIELD,
    "spec.memslots.call.cannot_be_read": ONE_FIELD,
    "spec.memslots.create_guest_memfd.files_do_not_exist": ONE_FIELD,
    "spec.memslots.create_guest_memfd.has_unknown_flags": ONE_FIELD,
    "spec.memslots.dirty_ring.ring_does_not_exist": ONE_FIELD,
    "spec.memslots.dirty_ring.has_a_vcpu": ONE_FIELD,
    "spec.memslots.get_dirty_log.has_nowhere_to_write": ONE_FIELD,
    "spec.memslots.manual_protect.has_flags": ONE_FIELD,
    "model.memslots.protocol.still_good": "`TWOSETS.VCPU.*` are about it, with any cache and any generation.",
    "spec.memslots.set_region.total_is_never_reached": CONSTANT,
    "spec.memslots.set_region.total_is_always_kept": CONSTANT,
    "spec.memslots.set_region.page_writes_are_followed": CONSTANT,
    "spec.memslots.set_region.gfn_carries_the_shared_bit": CONSTANT,
    "spec.memslots.set_region.memory_is_always_found": CONSTANT,
    "spec.step.all_rules": CONSTANT,
    "spec.vhost.backend.is_no_socket": ONE_FIELD,
    "spec.vhost.call.comes_from_a_stranger": "It is two fields, of a device and of a request, as they are.",
    "spec.vhost.call.cannot_be_read": ONE_FIELD,
    "spec.vhost.features.are_not_offered": "`|` of an arbitrary word is not confirmed within its time.",
    "spec.vhost.mem_table.has_padding": ONE_FIELD,
    "spec.vhost.owner.has_an_owner": ONE_FIELD,
    "model.libgpamap.explore.Orders.reader_is_late": EXPLORER,
    "model.libgpamap.explore.Orders.writer_is_late": EXPLORER,
    "model.libgpamap.explore.releases": EXPLORER,
    "model.libgpamap.explore.acquires": EXPLORER,
    "model.libgpamap.scenes.host_of": EXPLORER,
    "model.libgpamap.writer.space_of": EXPLORER,
    "model.libgpamap.writer.id_of": EXPLORER,
    "model.memslots.array.no_array": NO_VALUE,
    "model.memslots.machine.Machine.usable": "It is `usable`, where tests can replace it.",
    "spec.vhost.dirty_log.pages_through": "It is the subject of theorems: LOG.EXACT and LOG.WRITTEN.",
    "model.vhost.machine.has_one_bit": "It is the subject of a theorem, which tries out each size.",
    "model.vhost.sorted_array.ArrayDeviceMachine.new_table": NO_VALUE,
    "model.vhost.sorted_array.ArrayDeviceMachine.new_iotlb": NO_VALUE,
}
