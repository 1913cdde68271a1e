//! # Lanes: what needs `unsafe` and no I/O
//!
//! | module | what it does |
//! |---|---|
//! | [`doze`] | when a thread that waits for work must be woken |
//! | [`growing`] | a number that only grows, from one thread to others |
//! | [`md5`] | digests of many messages at once, on the widest vectors that the processor has |
//! | [`prefetch`] | asks for memory before it is needed |
//! | [`ring`] | the single-producer ring core |
//! | [`sync`] | the atomics, which loom can stand in for |
//!
//! [`md5`]: messages come in as slices, digests go out in place; up to 64 are ordered and grouped on the stack, about
//! 4 KiB, and nothing is allocated. There is no *full*: a larger batch is taken in pieces. It knows neither RADIUS nor
//! secrets. Code for a processor feature runs only after the processor was asked for it.

pub mod doze;
pub mod growing;
pub mod md5;
pub mod prefetch;
pub mod ring;
pub mod sync;

#[cfg(test)]
#[cfg(loom)]
mod loom_tests;
