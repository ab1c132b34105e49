//! Container networks: bridges, addresses, port forwarding, netavark's contract.
