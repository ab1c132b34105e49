//! A container monitor with conmon's command line.
