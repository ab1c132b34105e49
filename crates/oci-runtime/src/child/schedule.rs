//! How the process is scheduled, and which system it believes to run on.

use super::{At, Done, check};
use crate::plan::process::ProcessPlan;
use crate::step::Step;

/// Applies what config.json asks for, while there are rights to.
pub(super) fn apply(process: &ProcessPlan) -> Done {
    if let Some(nice) = process.nice {
        // SAFETY: plain integers; 0 is the calling process.
        check(unsafe { libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, nice) } as i32)
            .at(Step::Schedule)?;
    }
    if let Some(priority) = process.io_priority {
        const IOPRIO_WHO_PROCESS: i32 = 1;
        // SAFETY: plain integers; 0 is the calling process.
        let result =
            unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, priority) };
        check(result as i32).at(Step::IoPriority)?;
    }
    if let Some(personality) = process.personality {
        // SAFETY: a plain integer. It gives the old value, or -1.
        let before = unsafe { libc::syscall(libc::SYS_personality, personality) };
        check(before.min(0) as i32).at(Step::Personality)?;
    }
    Ok(())
}
