//! Which cores this process may use, and pinning a worker to one of them.

use std::io;

/// The numbers of the cores that the calling thread may run on, ascending. Ask before pinning: afterwards it is one.
pub fn allowed() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect()
}

/// Pins the calling thread to `core`, a number out of [`allowed`].
///
/// # Errors
/// `InvalidInput` when the calling thread may not run on that core, as it is offline, outside the cgroup or unknown.
pub fn pin_current_thread(core: usize) -> io::Result<()> {
    if !allowed().contains(&core) || !core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_has_one_core_left() {
        let cores = allowed();
        let last = *cores.last().unwrap();
        let pinned = std::thread::spawn(move || {
            pin_current_thread(last).unwrap();
            allowed()
        });
        assert_eq!(pinned.join().unwrap(), [last]);
        assert_eq!(allowed(), cores, "only the thread that asked is pinned");
    }

    #[test]
    fn an_unknown_core_is_refused() {
        for core in [1023, 1024, usize::MAX] {
            assert_eq!(pin_current_thread(core).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }
}
