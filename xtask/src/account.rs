//! What a test run came to.

use std::fmt;
use std::ops::AddAssign;
use std::str::FromStr;

use anyhow::{Context, Result};

/// Tests counted by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

impl FromStr for Account {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Account> {
        let number =
            |word| count_before(text, word).with_context(|| format!("no {word} in {text:?}"));
        Ok(Account {
            passed: number("passed")?,
            failed: number("failed")?,
            skipped: number("skipped")?,
        })
    }
}

impl AddAssign for Account {
    fn add_assign(&mut self, other: Account) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Sums the `test result:` lines of `cargo test`.
pub fn of_libtest(output: &str) -> Account {
    let mut sum = Account::default();
    for line in output
        .lines()
        .filter(|line| line.starts_with("test result:"))
    {
        let count = |word| count_before(line, word).unwrap_or(0);
        sum += Account {
            passed: count("passed"),
            failed: count("failed"),
            skipped: count("ignored"),
        };
    }
    sum
}

/// Reads the last `Summary` line of nextest.
pub fn of_nextest(output: &str) -> Option<Account> {
    let line = output
        .lines()
        .rev()
        .find(|line| line.trim_start().starts_with("Summary ["))?;
    let count = |word| count_before(line, word).unwrap_or(0);
    Some(Account {
        passed: count("passed"),
        failed: count("failed") + count("timed"),
        skipped: count("skipped"),
    })
}

/// The number in front of `word`: `3 passed; 1 failed` has 1 before `failed`.
fn count_before(line: &str, word: &str) -> Option<usize> {
    let words: Vec<&str> = line
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|w| !w.is_empty())
        .collect();
    words
        .windows(2)
        .find(|pair| pair[1] == word)
        .and_then(|pair| pair[0].parse().ok())
}

/// Lines `skipped: REASON` that tests wrote, which their runner counts as passed.
pub fn skip_reasons(output: &str) -> Vec<&str> {
    output
        .lines()
        .filter_map(|line| line.trim().strip_prefix("skipped: "))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtest_results_are_summed() {
        let output = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\nnoise 9 passed\n\
                      test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured\n";
        assert_eq!(
            of_libtest(output),
            Account {
                passed: 5,
                failed: 4,
                skipped: 1
            }
        );
    }

    #[test]
    fn nextest_summary_is_read() {
        let line = "     Summary [   1.014s] 9 tests run: 5 passed (1 slow), 3 failed, 1 timed out, 2 skipped";
        assert_eq!(
            of_nextest(line),
            Some(Account {
                passed: 5,
                failed: 4,
                skipped: 2
            })
        );
        assert_eq!(of_nextest("nothing"), None);
    }

    #[test]
    fn an_account_reads_what_it_writes() {
        let account = Account {
            passed: 12,
            failed: 0,
            skipped: 3,
        };
        assert_eq!(account.to_string().parse::<Account>().unwrap(), account);
    }

    #[test]
    fn reasons_are_found_among_other_lines() {
        assert_eq!(
            skip_reasons("a\n  skipped: no crun\nnot skipped: x\n"),
            ["no crun"]
        );
    }
}
