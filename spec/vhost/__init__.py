"""The vhost line: what a vhost device makes of guest addresses. Read address_map, then translate, then mem_table."""
