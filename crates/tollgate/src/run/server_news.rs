//! What one worker finds out of a server holds for all of them: down for one is down for all (BEHAVIOUR.md 5.1).
//!
//! Workers send their news in, alarms and messages to the other workers go out. Two workers may find out the same at once:
//! the alarm is raised once and cleared once, at the latest when no group names the server any more; one that was raised is cleared even if a commit has silenced it meanwhile, and
//! one that was not raised is not. The queue holds two items for each outage of each server and worker, and no
//! worker waits for it; a path stays here while its server is Down.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use engine::News;
use model::settings::ServerPath;
use tokio::sync::mpsc::UnboundedReceiver;

use super::messages::{WorkerHandle, WorkerMessage};

/// What a worker found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerNews {
    /// The worker's shard.
    pub(crate) shard: u16,
    pub(crate) server: ServerPath,
    pub(crate) news: News,
}

/// What one worker knows of the beginning of accounting, and the others wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnnouncingNews {
    /// It has no Stops of an earlier boot that go first.
    OldStopsGone,
    /// Starts may go to this server.
    StartsMayGo(ServerPath),
}

/// What a worker has to say to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkerNews {
    Server(ServerNews),
    /// No group leads to it any more.
    PathLeft(ServerPath),
    Announcing(u16, AnnouncingNews),
}

/// Passes news on until the workers have ended. `is_silent`: no alarm is raised for the server.
pub(crate) async fn serve(
    mut inbox: UnboundedReceiver<WorkerNews>,
    workers: Vec<WorkerHandle>,
    is_silent: impl Fn(&ServerPath) -> bool,
) {
    let mut alarms = Alarms::default();
    while let Some(told) = inbox.recv().await {
        let told = match told {
            WorkerNews::Server(told) => told,
            WorkerNews::PathLeft(server) => {
                if alarms.forget(&server) {
                    tracing::warn!(target: "alarm", %server, reason = "no group names it any more", "hwRadiusAcctServerUp");
                }
                continue;
            }
            WorkerNews::Announcing(from, news) => {
                others(&workers, from).for_each(|worker| worker.tell(WorkerMessage::Announcing(news)));
                continue;
            }
        };
        if alarms.tell(told, is_silent(&told.server)) {
            let server = told.server;
            match told.news {
                News::Down => tracing::error!(target: "alarm", %server, "hwRadiusAcctServerDown"),
                News::Up => tracing::warn!(target: "alarm", %server, "hwRadiusAcctServerUp"),
            }
        }
        others(&workers, told.shard).for_each(|worker| worker.tell(WorkerMessage::ServerNews(told.server, told.news)));
    }
}

fn others(workers: &[WorkerHandle], from: u16) -> impl Iterator<Item = &WorkerHandle> {
    let others = workers.iter().enumerate().filter(move |&(number, _)| number != usize::from(from));
    others.map(|(_, worker)| worker)
}

/// What the operator has been told.
#[derive(Default)]
struct Alarms {
    /// Servers that are Down, and whether that raised an alarm.
    down: BTreeMap<ServerPath, bool>,
}

impl Alarms {
    /// Whether these news are for the operator: an alarm that is raised, or one that is cleared.
    fn tell(&mut self, told: ServerNews, is_silent: bool) -> bool {
        match told.news {
            News::Up => self.forget(&told.server),
            News::Down => match self.down.entry(told.server) {
                Entry::Vacant(unknown) => *unknown.insert(!is_silent),
                Entry::Occupied(_) => false,
            },
        }
    }

    /// Nothing is told of this server any more. True: its alarm is to be cleared.
    fn forget(&mut self, server: &ServerPath) -> bool {
        self.down.remove(server) == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    /// Tells each and compares what the operator hears.
    fn check(steps: &[(u16, u8, News, bool, bool)]) {
        let mut alarms = Alarms::default();
        for (number, &(shard, server, news, is_silent, expected)) in steps.iter().enumerate() {
            let server = ServerPath::from(SocketAddr::from(([192, 0, 2, server], 1813)));
            assert_eq!(alarms.tell(ServerNews { shard, server, news }, is_silent), expected, "step {number}");
        }
    }

    #[test]
    fn what_two_find_out_at_once_is_one_alarm() {
        check(&[
            (0, 1, News::Down, false, true),
            (1, 1, News::Down, false, false),
            (1, 2, News::Down, false, true),
            (1, 1, News::Up, false, true),
            (0, 1, News::Up, false, false),
            (0, 1, News::Down, false, true),
        ]);
    }

    #[test]
    fn the_alarm_of_a_server_that_no_group_names_any_more_is_cleared_once() {
        let mut alarms = Alarms::default();
        let [raised, silent] = [1, 2].map(|host| ServerPath::from(SocketAddr::from(([192, 0, 2, host], 1813))));
        for (server, is_silent) in [(raised, false), (silent, true)] {
            alarms.tell(ServerNews { shard: 0, server, news: News::Down }, is_silent);
        }
        assert_eq!([alarms.forget(&raised), alarms.forget(&raised), alarms.forget(&silent)], [true, false, false]);
        // Each shard says so.
        assert!(!alarms.tell(ServerNews { shard: 1, server: raised, news: News::Up }, false));
        assert!(alarms.down.is_empty());
    }

    #[test]
    fn an_alarm_that_was_raised_is_cleared_whatever_is_committed_meanwhile_and_only_that() {
        check(&[
            (0, 1, News::Down, false, true),
            (0, 1, News::Up, true, true),
            (0, 1, News::Down, true, false),
            (1, 1, News::Down, false, false),
            (0, 1, News::Up, false, false),
            (0, 1, News::Down, false, true),
        ]);
    }
}
