//! What one worker finds out of a server holds for all of them: down for one is down for all (BEHAVIOUR.md 5.1).
//!
//! Workers send their news in, alarms and messages to the other workers go out. Two workers may find out the same at once:
//! the alarm is raised once and cleared once. The queue holds two items for each outage of each server and worker, and no
//! worker waits for it; a path stays here while its server is Down.

use std::collections::BTreeSet;
use std::net::SocketAddr;

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
    StartsMayGo(SocketAddr),
}

/// What a worker has to say to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkerNews {
    Server(ServerNews),
    Announcing(u16, AnnouncingNews),
}

/// Passes news on until the workers have ended. `is_silent`: no alarm is raised for the server.
pub(crate) async fn serve(
    mut inbox: UnboundedReceiver<WorkerNews>,
    workers: Vec<WorkerHandle>,
    is_silent: impl Fn(&ServerPath) -> bool,
) {
    let mut down = BTreeSet::new();
    while let Some(told) = inbox.recv().await {
        let told = match told {
            WorkerNews::Server(told) => told,
            WorkerNews::Announcing(from, news) => {
                others(&workers, from).for_each(|worker| worker.tell(WorkerMessage::Announcing(news)));
                continue;
            }
        };
        if is_new(&mut down, told) && !is_silent(&told.server) {
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

/// Whether the operator does not know it yet.
fn is_new(down: &mut BTreeSet<ServerPath>, told: ServerNews) -> bool {
    match told.news {
        News::Down => down.insert(told.server),
        News::Up => down.remove(&told.server),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn what_two_find_out_at_once_is_one_alarm() {
        let mut down = BTreeSet::new();
        let server = |number: u8| ServerPath::from(SocketAddr::from(([192, 0, 2, number], 1813)));
        let steps = [
            (0, server(1), News::Down, true),
            (1, server(1), News::Down, false),
            (1, server(2), News::Down, true),
            (1, server(1), News::Up, true),
            (0, server(1), News::Up, false),
            (0, server(1), News::Down, true),
        ];
        for (number, (shard, server, news, expected)) in steps.into_iter().enumerate() {
            assert_eq!(is_new(&mut down, ServerNews { shard, server, news }), expected, "step {number}");
        }
        assert_eq!(down.len(), 2);
    }
}
