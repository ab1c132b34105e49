//! Programs run in an interpreter, against the policy itself and against libseccomp.

mod default_policy;
mod interpreter;
mod libseccomp;
mod oracle;
mod rules;
