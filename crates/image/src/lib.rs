//! Container image references, registries, manifests and transports.
