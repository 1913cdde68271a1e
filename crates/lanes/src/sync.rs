//! The one door to atomics. Under `--cfg loom` they are loom's, which tries every order of two threads' steps that
//! the memory model allows; otherwise they are the standard library's.
//!
//! `Traces` is what loom needs to see plain memory: it knows which words are touched, not what is in them. Outside
//! loom it is nothing.

#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// A value that shares its cache line, and the line that the prefetcher brings with it, with nothing else.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Line<T>(pub T);

/// Tells loom which words a thread reads and writes.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct Traces;

#[cfg(not(loom))]
impl Traces {
    pub(crate) fn new(_words: usize) -> Traces {
        Traces
    }

    #[inline(always)]
    pub(crate) fn read(&self, _from: usize, _words: usize) {}

    #[inline(always)]
    pub(crate) fn write(&self, _from: usize, _words: usize) {}
}

/// Tells loom which words a thread reads and writes.
#[cfg(loom)]
#[derive(Debug)]
pub(crate) struct Traces(Box<[loom::cell::UnsafeCell<()>]>);

#[cfg(loom)]
impl Traces {
    pub(crate) fn new(words: usize) -> Traces {
        Traces((0..words).map(|_| loom::cell::UnsafeCell::new(())).collect())
    }

    pub(crate) fn read(&self, from: usize, words: usize) {
        for cell in &self.0[from..from + words] {
            cell.with(|_| ());
        }
    }

    pub(crate) fn write(&self, from: usize, words: usize) {
        for cell in &self.0[from..from + words] {
            cell.with_mut(|_| ());
        }
    }
}
