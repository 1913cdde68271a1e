//! Two clocks. [`Mono`] measures and never steps; [`Wall`] is only printed and sent.

use std::fmt;
use std::time::Duration;

/// Nanoseconds of the box's boot clock (`CLOCK_BOOTTIME`), which survives a restart of the process but not of
/// the box. All durations are differences of two of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(u64);

impl Mono {
    /// The moment the box started.
    pub const ZERO: Mono = Mono(0);

    /// From nanoseconds since the box started.
    pub const fn from_nanos(nanos: u64) -> Mono {
        Mono(nanos)
    }

    /// Nanoseconds since the box started.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Milliseconds since the box started, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The time from `earlier` to here; zero when `earlier` is later.
    pub const fn since(self, earlier: Mono) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment and `duration` more; stops at the end of time.
    pub fn plus(self, duration: Duration) -> Mono {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Mono(self.0.saturating_add(nanos))
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z. May step; nothing is measured with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(u64);

impl Wall {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: u64) -> Wall {
        Wall(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, as Event-Timestamp carries them (RFC 2869 section 5.3); the field has
    /// 32 bits and wraps in 2106.
    #[expect(clippy::cast_possible_truncation, reason = "the attribute has 32 bits")]
    pub const fn event_timestamp(self) -> u32 {
        (self.0 / 1000) as u32
    }
}

/// Epoch seconds with three decimals, as bill files print times: `1795000000.250`.
impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// One moment on both clocks, read together at the door and handed inwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For measuring.
    pub mono: Mono,
    /// For printing.
    pub wall: Wall,
}

impl Now {
    /// A moment of this boot that has passed, on the wall as it is hung now.
    pub fn at(self, mono: Mono) -> Now {
        let ago = u64::try_from(self.mono.since(mono).as_millis()).unwrap_or(u64::MAX);
        Now { mono, wall: Wall::from_millis(self.wall.as_millis().saturating_sub(ago)) }
    }
}
