//! From one ContainerSpec to an OCI runtime config.json.
