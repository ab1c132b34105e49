//! Descriptors that the caller passes down to a container's process under their own numbers.

use std::os::fd::RawFd;

use minke_sys::inherit;

use crate::error::{Error, Result};

/// Which of the caller's descriptors a process gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preserve {
    /// So many from 3 on.
    pub count: u32,
    /// These, in place of a count.
    pub listed: Vec<u32>,
}

/// More than this is a mistake.
const MOST: u32 = 1024;

impl Preserve {
    /// How many from 3 on the runtime has to keep open for it.
    pub(crate) fn runtime_count(&self) -> u32 {
        let last = self.listed.iter().max();
        last.map_or(self.count, |last| last.saturating_sub(2))
    }

    /// Opens to the programs this process executes what is to be preserved, and nothing else of
    /// that range. True if all of it is there.
    ///
    /// # Errors
    /// A number that means another stream, or is out of reach.
    pub(crate) fn open_up(&self) -> Result<bool> {
        if self.listed.iter().any(|fd| *fd < 3) {
            return Err(Error::invalid(
                "--preserve-fd takes descriptors above 2: 0, 1 and 2 are passed anyway",
            ));
        }
        let count = self.runtime_count();
        if count > MOST {
            return Err(Error::invalid(format!(
                "at most {MOST} descriptors can be preserved, not {count}"
            )));
        }
        let mut complete = true;
        for fd in 3..3 + count {
            let wanted = self.listed.is_empty() || self.listed.contains(&fd);
            let number = RawFd::try_from(fd).unwrap_or(RawFd::MAX);
            if inherit::is_open(number) {
                inherit::pass_on(number, wanted).map_err(Error::system("pass a descriptor on"))?;
            } else {
                complete &= !wanted;
            }
        }
        Ok(complete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_a_count_with_holes() {
        let listed = |listed: &[u32]| Preserve {
            count: 0,
            listed: listed.to_vec(),
        };
        assert_eq!(listed(&[5, 3]).runtime_count(), 3);
        assert_eq!(Preserve::default().runtime_count(), 0);
        assert!(listed(&[2]).open_up().is_err());
        assert!(listed(&[900_000]).open_up().is_err());
        assert!(!listed(&[1000]).open_up().unwrap(), "it is not open");
    }
}
