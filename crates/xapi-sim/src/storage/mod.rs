//! A storage repository: a folder of sparse files.
