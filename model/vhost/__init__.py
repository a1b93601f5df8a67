"""The vhost line as kernels do it. Read iotlb, translate, metadata, queue, machine; sorted_array is what was before."""
