//! Which cores a process runs on.

use anyhow::Result;
use benches::Program;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Those that this process may use.
///
/// # Errors
/// The kernel does not tell.
pub(crate) fn allowed_cores() -> Result<Vec<usize>> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false)).collect())
}

/// Keeps all threads of a program to these cores, and those that they start.
///
/// # Errors
/// It has ended, or may not use them.
pub(crate) fn pin(program: &Program, cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core)?;
    }
    for thread in std::fs::read_dir(format!("/proc/{}/task", program.id()))? {
        let thread = thread?.file_name().to_string_lossy().parse()?;
        sched_setaffinity(Pid::from_raw(thread), &set)?;
    }
    Ok(())
}
