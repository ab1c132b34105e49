//! Networks on the real kernel: every test has a "host" network namespace of its own.

mod converge;
mod join;
mod publish;
mod rules;
mod world;
