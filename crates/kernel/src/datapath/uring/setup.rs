//! Setting a ring up: the newest mode that the kernel has, the check that it has what we need, and the end of everything else
//! that a ring could do.

use std::io;

use io_uring::register::Restriction;
use io_uring::{IoUring, Probe, opcode, squeue};

use super::super::{Limits, Missing, OpenError};

/// A ring with a table of registered descriptors: first the sockets, then the watches.
///
/// It is disabled until its first use, so that it may be set up on another thread than it runs on.
pub(super) fn ring(limits: &Limits) -> Result<IoUring, OpenError> {
    let sockets = u32::from(limits.sockets);
    let watches = u32::from(limits.watches);
    let messages = u32::from(limits.transmit_slots);
    // One wait submits at most every message, and arms and cancels every socket and watch.
    let submissions = (messages + 2 * (sockets + watches)).next_power_of_two().min(32_768);
    // Every message, buffer, and twice every socket and watch (its end and its cancellation) may complete at once.
    let completions = messages + u32::from(limits.receive_buffers) + 4 * (sockets + watches);
    let completions = completions.next_power_of_two().max(submissions);
    let ring = build(submissions, completions).map_err(missing)?;

    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(missing)?;
    // Multishot recvmsg has no flag of its own; zero-copy send came with the same release.
    if !probe.is_supported(opcode::SendZc::CODE) || !ring.params().is_feature_ext_arg() {
        return Err(OpenError::IoUring(Missing::TooOld));
    }
    ring.submitter().register_files_sparse(sockets + watches).map_err(missing)?;
    Ok(ring)
}

const ENABLE_RINGS: u8 = 12;
const FILES_UPDATE: u8 = 6;
const UNREGISTER_PBUF_RING: u8 = 23;
/// What a ring is asked for once it is set up (`IORING_REGISTER_*` of io_uring_register(2)): to be enabled, to change a place in its
/// table of descriptors, and to forget its group of buffers.
pub(crate) const REGISTERED_LATER: [u8; 3] = [ENABLE_RINGS, FILES_UPDATE, UNREGISTER_PBUF_RING];

/// From its first use on the ring takes the four requests of this engine, and no other. Operations of a ring pass by every filter
/// of system calls, so the ring itself has to refuse what nobody here asks for: to open a file, to connect, to send by itself.
///
/// # Errors
/// Those of io_uring_register(2); the ring is as it was then.
pub(super) fn restrict(ring: &IoUring) -> io::Result<()> {
    let operations =
        [opcode::RecvMsgMulti::CODE, opcode::SendMsg::CODE, opcode::PollAdd::CODE, opcode::AsyncCancel2::CODE];
    let flags = squeue::Flags::FIXED_FILE | squeue::Flags::BUFFER_SELECT;
    let mut allowed: Vec<Restriction> = operations.map(Restriction::sqe_op).into();
    allowed.extend(REGISTERED_LATER.map(Restriction::register_op));
    allowed.push(Restriction::sqe_flags_allowed(flags.bits()));
    ring.submitter().register_restrictions(&mut allowed)
}

/// The cause behind an error from setting up.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
pub(super) fn missing(error: io::Error) -> OpenError {
    OpenError::IoUring(Missing::from_error(&error))
}

/// Tries the modes from the fastest to the plainest. EINVAL means that a kernel does not know a flag of the mode.
fn build(submissions: u32, completions: u32) -> io::Result<IoUring> {
    // Linux 6.1: completions are worked off inside our own wait and never interrupt the worker.
    let newest = builder(completions, |builder| {
        builder.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag();
    });
    // Linux 6.0.
    let older = builder(completions, |builder| {
        builder.setup_single_issuer().setup_coop_taskrun().setup_taskrun_flag();
    });
    match newest.build(submissions) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => older.build(submissions),
        result => result,
    }
}

fn builder(completions: u32, mode: impl FnOnce(&mut io_uring::Builder)) -> io_uring::Builder {
    let mut builder = IoUring::builder();
    builder.setup_r_disabled().setup_cqsize(completions).setup_submit_all().setup_clamp().dontfork();
    mode(&mut builder);
    builder
}
