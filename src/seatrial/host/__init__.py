"""This machine: process trees, cgroups, sockets, capabilities, undoing."""
