//! How much processor time a process has used, and how much work a pace asks of it.

use std::io;
use std::time::Duration;

/// Of all threads that it has now, in the kernel too, to the nanosecond (schedstat of proc(5)).
///
/// # Errors
/// There is no such process, or the kernel keeps no such count.
pub fn processor_time(process: u32) -> io::Result<Duration> {
    scheduled(process, 0)
}

/// How long all threads that it has now were ready to run while others had the core.
///
/// # Errors
/// There is no such process, or the kernel keeps no such count.
pub fn waiting_time(process: u32) -> io::Result<Duration> {
    scheduled(process, 1)
}

/// The sum over all threads of one field, in nanoseconds.
fn scheduled(process: u32, field: usize) -> io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        // One that has just ended is no loss.
        let Ok(text) = std::fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        let nanoseconds = text.split_whitespace().nth(field).and_then(|value| value.parse().ok());
        sum += Duration::from_nanos(nanoseconds.ok_or(io::ErrorKind::InvalidData)?);
    }
    Ok(sum)
}

/// How many of so many a second are due after this time.
pub fn due(after: Duration, rate: u32) -> u64 {
    u64::try_from(after.as_nanos() * u128::from(rate) / 1_000_000_000).unwrap_or(u64::MAX)
}
