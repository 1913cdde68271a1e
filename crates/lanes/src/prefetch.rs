//! A hint that memory will be read soon, so that the cache miss of one session passes while another is served.

/// Asks the processor to fetch the first cache line of `value`. Changes nothing that a program can observe; does
/// nothing where the target has no such instruction.
#[inline(always)]
pub fn read<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction is part of every x86-64 processor, and a prefetch neither faults nor writes,
        // whatever the address; this one belongs to a live reference besides.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
