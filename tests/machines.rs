//! Whole jobs in real machines, in one program: each mostly waits for its own machine, so they run side by side.
//!
//! ```text
//!   layering         layers of Linux, made, put together and published on a real Debian
//!   windows_layers   layers of Windows, with Wine for Windows; needs /dev/fuse
//!   unattended       versions that scripts make
//!   live             machines at work: what is outstanding in them
//!   programs         what of this host they run
//! ```

mod layering;
mod live;
mod programs;
mod unattended;
mod windows_layers;
