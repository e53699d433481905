//! Disk images in and out, over any stream.
