//! Lanes: tests of the built binary as its users meet it, beside and inside real peers.
//!
//! A case is a function that gets the [`Ground`] and says whether it passed or why it cannot run
//! here. All run in one world (`crate::world`), one after the other, each on a store of its own.

mod codes; // exit codes and words, beside podman
mod config; // config.json beside podman's
mod files; // files of containers, beside podman
mod first; // minke alone
mod ground; // what cases stand on
mod hostile; // images that mean harm
mod kill; // any process may be killed at any time
mod leak; // nothing is left behind
mod parts; // parts swapped between minke and its peers
mod refusal; // bad input: code, words, and nothing changed
mod rootless; // a normal user
mod rootless_ids; // user namespaces of a normal user's containers
mod snapshot; // stores and the network, compared
mod store; // one store, several engines
mod templates; // --format, beside podman
mod tutorial; // what tutorials teach, as typed
mod users; // user namespaces, hooks, init
mod volume; // volumes and what else is mounted

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::account::Account;
use crate::cargo::Binaries;
use ground::Ground;

/// The hidden command that runs lanes inside their world.
pub const INSIDE: &str = "lanes-in-world";

/// The file below the scratch directory that takes the account.
pub const ACCOUNT: &str = "account";

/// How a case ended when it did not fail.
enum Outcome {
    Passed,
    /// This machine lacks something.
    Skipped(String),
}

type Case = (&'static str, fn(&Ground) -> Result<Outcome>);

/// The functions of a module as cases under their own names.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(super) const CASES: &[super::Case] = &[$((stringify!($name), $name)),*];
    };
}
use cases;

const LANES: &[(&str, &[Case])] = &[
    ("first", first::CASES),
    ("interop::store", store::CASES),
    ("interop::files", files::CASES),
    ("interop::parts", parts::CASES),
    ("refusal", refusal::CASES),
    ("kill", kill::CASES),
    ("leak", leak::CASES),
    ("rootless", rootless::CASES),
    ("rootless_ids", rootless_ids::CASES),
    ("tutorial", tutorial::CASES),
    ("volume", volume::CASES),
    ("config", config::CASES),
    ("codes", codes::CASES),
    ("templates", templates::CASES),
    ("users", users::CASES),
    ("hostile", hostile::CASES),
];

/// Every case whose full name contains one of `filters` (all if there are none).
fn chosen(filters: &[String]) -> Vec<(String, Case)> {
    LANES
        .iter()
        .flat_map(|(lane, cases)| {
            cases
                .iter()
                .map(move |case| (format!("{lane}::{}", case.0), *case))
        })
        .filter(|(name, _)| {
            filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
        })
        .collect()
}

/// Prints the name of every case.
pub fn list() -> Result<()> {
    for (name, _) in chosen(&[]) {
        println!("{name}");
    }
    Ok(())
}

pub fn any_matches(filters: &[String]) -> bool {
    !chosen(filters).is_empty()
}

pub fn count(filters: &[String]) -> usize {
    chosen(filters).len()
}

/// Runs the chosen cases; we are in the world, whose scratch directory is `$TMPDIR`.
pub fn run_inside(filters: &[String]) -> Result<()> {
    let directory = PathBuf::from(std::env::var_os("TMPDIR").context("no TMPDIR")?);
    let ground = Ground::new(&directory, Binaries::below(&directory.join("bin")))?;
    let mut account = Account::default();
    for (name, (_, case)) in chosen(filters) {
        run_case(&ground, &name, case, &mut account);
    }
    drop(ground);
    std::fs::write(directory.join(ACCOUNT), account.to_string())?;
    Ok(())
}

fn run_case(
    ground: &Ground,
    name: &str,
    case: fn(&Ground) -> Result<Outcome>,
    account: &mut Account,
) {
    let begin = Instant::now();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(ground)));
    let result = result.unwrap_or_else(|_| Err(anyhow::anyhow!("the case panicked")));
    let seconds = begin.elapsed().as_secs_f64();
    match result {
        Ok(Outcome::Passed) => {
            account.passed += 1;
            println!("ok    {name} ({seconds:.1} s)");
        }
        Ok(Outcome::Skipped(reason)) => {
            account.skipped += 1;
            println!("skip  {name}: {reason}");
        }
        Err(error) => {
            account.failed += 1;
            println!(
                "FAIL  {name} ({seconds:.1} s)\n  {}",
                format!("{error:#}").replace('\n', "\n  ")
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_anywhere_in_the_full_name() {
        let all = count(&[]);
        let interop = count(&["interop".into()]);
        assert!(0 < interop && interop < all);
        assert_eq!(count(&["store".into(), "interop".into()]), interop);
        assert!(!any_matches(&["no such case".into()]));
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = chosen(&[]).into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count(&[]));
    }
}
