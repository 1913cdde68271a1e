//! Both clocks, read together.

use model::time::{Mono, Now, Wall};

/// The present moment.
pub(crate) fn now() -> Now {
    Now {
        mono: Mono::from_nanos(kernel::clock::boottime_nanos()),
        wall: Wall::from_millis(kernel::clock::wall_millis()),
    }
}
