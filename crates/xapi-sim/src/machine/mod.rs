//! Virtual machines as QEMU processes.
