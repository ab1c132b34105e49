//! seccomp.json policies, to OCI linux.seccomp and to BPF.
