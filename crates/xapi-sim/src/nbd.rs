//! The NBD server of a host.
