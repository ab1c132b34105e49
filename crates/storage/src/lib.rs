//! Image layers on disk in containers/storage's format, shared safely between processes.
