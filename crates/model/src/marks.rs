//! Marks: the odd branches of the machines, each with a name, so that somebody can say which of them were ever taken.
//!
//! A machine says [`hit`] where such a branch begins, and that changes nothing of what it does. Hits are counted in builds with
//! the feature `marks` alone, which the simulator asks for when it is to tell of them; in any other a mark is nothing at all.

macro_rules! marks {
    ($($(#[$meaning:meta])+ $name:ident,)+) => {
        /// One odd branch of `engine` or `ledger`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mark {
            $($(#[$meaning])+ $name,)+
        }

        impl Mark {
            /// All of them.
            pub const ALL: &'static [Mark] = &[$(Mark::$name,)+];
        }
    };
}

marks! {
    /// An interim falls due while a Start rests in the queue: the Start goes instead.
    QueuedStartTellsTick,
    /// An interim falls due while an older one rests in the queue.
    InterimReplacesQueued,
    /// Who goes, or is to go, has something in the queue besides.
    QueuedWithdrawn,
    /// The queue of Stops is full, and the Stop that has rested longest is given up.
    StopThrownOut,
    /// The same of a Start or an interim.
    InterimThrownOut,
    /// The queue goes by rounds, and a round comes.
    RoundEndsRest,
    /// The tries of a Start or an interim of the queue are used up.
    QueueGivesUp,
    /// The server of a request has left the group while it was out.
    ServerLeftGroup,
    /// The subscriber goes while its Start or interim is out and unanswered.
    OvertakenByDown,
    /// The server that a user prefers has no room, and others go before.
    PreferenceHasNoRoom,
    /// The subscriber goes before its Start or interim is transmitted again.
    OvertakenBeforeAgain,
    /// A commit has given the group a server that is to be told first, while a request looks for another one.
    FailoverWaitsForTold,
    /// No server of the group is left for a transaction.
    ServersExhausted,
    /// The same reply stands in one batch twice.
    SameReplyTwice,
    /// A reply to a request that is out is not the server's.
    ReplyNotSigned,
    /// It comes from another address.
    ReplyFromElsewhere,
    /// A late reply comes while its request waits to be transmitted again.
    ReplyBeforeAgain,
    /// Who is refused has a zero Stop.
    RefusedWithStop,
    /// `shadow` keeps who would be refused.
    WouldRefuse,
    /// `shadow` keeps who would be cut.
    WouldCut,
    /// A Stop of an earlier boot of the box is given up.
    StopOfEarlierBootBilled,
    /// Work fails unsent while every server is Down.
    FailsUnsent,
    /// And that is no try.
    UnsentIsNoTry,
    /// The Down of who was cut may still come.
    CutWaitsOn,
    /// It does not come.
    CutUnanswered,
    /// An event is delivered again in the same life.
    EventAgain,
    /// An earlier life has taken it over.
    EventTakenOver,
    /// The ledger knows of a later one.
    EventPredatesSession,
    /// Who was refused comes again, or goes, before the verdict is taken.
    ComesWhileRefused,
    /// An Up closes the session of that name.
    UpImpliesDown,
    /// An earlier life closed one for it, and opened none.
    ImpliedByEarlierLife,
    /// A resync that began in an earlier life ends.
    StaleResyncEnds,
    /// Whose sample was to be told with others owes something else by then.
    GatheredOwesMore,
    /// What began a generation of counters is newer than the last sample.
    BaselineBehindSample,
    /// A session that ended before its Start is read again.
    NeverBegunRestored,
    /// A server that was tried again is dead.
    DiesOnTrial,
    /// A late reply does not bring a server back, for the operator wants it so.
    ReplyRevivesNobody,
    /// A probe brings a server back.
    ProbeRevives,
    /// Too many fail, though not in a row.
    DiesOfRate,
    /// All identifiers of a server are in use or in quarantine.
    IdentifiersExhausted,
    /// A wait that ran out halves a window.
    WindowHalved,
    /// More is missed than the line loses.
    WindowTooWide,
    /// Nothing stirs in a full window, and one more leaves.
    PlaceBesideWindow,
    /// A timer is due in the tick in which the wheel has gone round.
    TimerAtWrap,
    /// A batch cannot be written or synced, and goes into another segment.
    BatchAbandoned,
    /// The segment that failed had nothing durable in it.
    SegmentGivenBack,
    /// The next segment cannot be made.
    SpareFailed,
    /// The disk works again.
    LogHealed,
    /// One of the two copies of a segment's header is torn.
    HeaderHalf,
    /// A segment was made and never written to.
    SegmentUnused,
    /// The first write to a segment was torn.
    SegmentTorn,
    /// Nothing of the last batch of a life could be read, and the next life begins under its numbers.
    LifeBeginsInPlace,
    /// A batch was carried into another segment.
    BatchAgain,
    /// What stands behind the last batch of a segment is a torn write.
    StopTorn,
    /// The last batch is torn.
    TailTorn,
    /// A batch that was carried was torn there as well: each copy stands in for the other.
    CopiesMerged,
    /// A claim of an earlier life comes back as sent.
    ClaimReturned,
    /// No shard takes a bill that was claimed.
    ReplayRefused,
    /// A file is made once more out of its bills.
    FileRemade,
    /// A file is given up that nobody has.
    FileAbandoned,
    /// A file is given up that the server may have.
    FileAbandonedUnsure,
    /// The bills of a file were read, and a reset came between.
    ResetBeforeFile,
    /// A card goes while bills are on the way to it.
    MoveCancelled,
    /// A card has copies that a move left there.
    CardCopyDropped,
    /// A card has a bill that the pool has as well: the move is told.
    CardSettlesMove,
    /// A bill is read again, for its disk failed.
    BillReadAgain,
    /// A bill has left while it was read.
    BillLeftMeanwhile,
    /// A bill is told again, for its segment is to go.
    BillToldAgain,
    /// So is everything else in a segment.
    SegmentToldAgain,
}

/// A branch is taken.
#[inline(always)]
pub fn hit(mark: Mark) {
    #[cfg(feature = "marks")]
    counts::add(mark);
    #[cfg(not(feature = "marks"))]
    let _ = mark;
}

/// Every mark, and how often it was hit since this process began.
#[cfg(feature = "marks")]
pub fn hits() -> impl Iterator<Item = (Mark, u64)> {
    Mark::ALL.iter().map(|mark| (*mark, counts::of(*mark)))
}

#[cfg(feature = "marks")]
mod counts {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::Mark;

    static COUNTS: [AtomicU64; Mark::ALL.len()] = [const { AtomicU64::new(0) }; Mark::ALL.len()];

    pub(super) fn add(mark: Mark) {
        COUNTS[mark as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn of(mark: Mark) -> u64 {
        COUNTS[mark as usize].load(Ordering::Relaxed)
    }
}
