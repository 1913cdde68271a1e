//! What every row is measured with: the place, the scale, and what was found on the way.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use benches::Place;

use crate::rows::interims::{self, Interims};
use crate::servers::Kind;

/// How large a run is. The small one has a tenth of the sessions and of each interval, so all rates are the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) quick: bool,
}

impl Scale {
    pub(crate) fn sessions(self) -> u32 {
        if self.quick { 100_000 } else { 1_000_000 }
    }

    /// Of what are so many seconds at a million sessions.
    pub(crate) fn interval_s(self, seconds: u32) -> u32 {
        if self.quick { (seconds + 5).div_euclid(10).max(1) } else { seconds }
    }

    /// How long the daemon is watched at a time.
    pub(crate) fn window(self) -> Duration {
        Duration::from_secs(if self.quick { 3 } else { 5 })
    }

    /// How long the floor runs at a time.
    pub(crate) fn floor(self) -> Duration {
        Duration::from_secs(if self.quick { 2 } else { 4 })
    }
}

#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) place: Arc<Place>,
    pub(crate) scale: Scale,
    /// Octets of an interim of the daemon.
    pub(crate) length: u16,
    free: Option<Interims>,
}

impl Bench {
    pub(crate) fn new(place: Arc<Place>, scale: Scale, length: u16) -> Bench {
        Bench { place, scale, length, free: None }
    }

    /// Interims of all sessions against a plain server, which other rows are held against: measured once.
    ///
    /// # Errors
    /// They cannot be measured.
    pub(crate) fn interims(&mut self) -> Result<Interims> {
        if let Some(known) = self.free {
            return Ok(known);
        }
        Ok(*self.free.insert(interims::measure(self, Kind::Plain)?))
    }
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        even if even.is_multiple_of(2) => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_small_run_has_the_same_rates() {
        let rate = |quick, seconds| {
            let scale = Scale { quick };
            scale.sessions() / scale.interval_s(seconds)
        };
        assert_eq!([10, 67, 322].map(|seconds| rate(false, seconds)), [100_000, 14_925, 3105]);
        assert_eq!([10, 67, 322].map(|seconds| rate(true, seconds)), [100_000, 14_285, 3125]);
    }

    #[test]
    fn half_of_the_values_lie_below_the_median() {
        assert_eq!(median(&[3.0, 1.0, 2.0]).to_bits(), 2.0_f64.to_bits());
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]).to_bits(), 2.5_f64.to_bits());
        assert!(median(&[]).is_nan());
    }
}
