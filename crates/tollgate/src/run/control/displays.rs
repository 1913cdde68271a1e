//! What displays show: rows are fetched from the workers and the writer, added up and handed to their renderer.

use std::net::IpAddr;

use model::report::{AccessUser, Discards, Lateness, QueuedStop, RelayReport, ServerReport, ShardReport, SurveyReport};
use tokio::sync::oneshot;
use vrp::DisplayRequest;
use vrp::render::{self, Health, Shown};

use super::super::clock;
use super::super::daemon::Daemon;
use super::super::local_bills;
use super::super::messages::WorkerMessage;
use super::super::story;

/// Rows of `display access-user` without a session id.
const ACCESS_USER_ROWS: usize = 1000;
/// Rows of `display { radius-server | hwtacacs-server } accounting-stop-packet`.
const QUEUED_STOP_ROWS: usize = 1000;

pub(super) async fn queued_count(daemon: &Daemon) -> u64 {
    reports(daemon).await.iter().map(|report| report.stops_queued).sum()
}

pub(super) async fn display(request: DisplayRequest, daemon: &Daemon) -> Result<Shown, vrp::Refusal> {
    match request {
        DisplayRequest::AccessUsers => {
            let (rows, total) = access_users(daemon).await;
            Ok(render::access_users(&rows, total))
        }
        DisplayRequest::AccessUser { session_id } => {
            let row = access_user(daemon, &session_id).await;
            render::access_user(row.as_ref())
        }
        DisplayRequest::CommitList { count } => {
            let (commits, total) = daemon.commits.list(count);
            Ok(render::commit_list(&commits, total))
        }
        DisplayRequest::TrialStatus => Ok(render::trial_status(daemon.commits.trial().as_ref())),
        DisplayRequest::AccountingHealth => {
            let (reports, survey) = (reports(daemon).await, survey(daemon).await);
            let bills = daemon.bill_information().await.unwrap_or_default();
            let servers = servers(&reports);
            let now = clock::now().wall;
            Ok(render::accounting_health(&Health {
                now,
                reports: &reports,
                servers: &servers,
                survey: &survey,
                bills: &bills,
            }))
        }
        DisplayRequest::AccountingSession { session_id } => {
            let told = ask_workers(daemon, |reply| WorkerMessage::Story(session_id.clone(), reply)).await;
            let mut story = told.into_iter().flatten().next();
            if let Some(story) = &mut story {
                // A walk through the whole log is enough at a time.
                let _turn = daemon.stories.lock().await;
                story::add_records(story, &daemon.state_dir).await;
            }
            render::accounting_session(story.as_ref())
        }
        DisplayRequest::SessionSources => Ok(render::session_sources(&daemon.sources.report())),
        DisplayRequest::AccountingPhase => Ok(render::accounting_phase(&survey(daemon).await)),
        DisplayRequest::AccountingLateness => {
            let mut lateness = Lateness::default();
            reports(daemon).await.iter().for_each(|report| lateness.merge(&report.lateness));
            Ok(render::accounting_lateness(&lateness, engine::wheel::GATHER))
        }
        DisplayRequest::AccountingPolicy => {
            Ok(render::accounting_policy(daemon.running().cut_brake, &reports(daemon).await))
        }
        DisplayRequest::LocalBillInformation => {
            let information = daemon.bill_information().await.unwrap_or_default();
            Ok(render::local_bill_information(&information))
        }
        DisplayRequest::LocalBillCache { start, count } => {
            local_bills::rows(daemon, start, count).await.map(|bills| render::local_bill_cache(&bills))
        }
        DisplayRequest::RadiusServerConfiguration { group } => {
            let servers = servers(&reports(daemon).await);
            render::radius_server_configuration(&daemon.running(), group.as_ref(), &servers)
        }
        DisplayRequest::QueuedStops { server } => {
            let stops = queued_stops(daemon, server, |stop| stop.template.is_none()).await;
            Ok(render::queued_stops(&stops[..stops.len().min(QUEUED_STOP_ROWS)], stops.len() as u64))
        }
        DisplayRequest::HwtacacsQueuedStops { first, server } => {
            let stops = queued_stops(daemon, server, |stop| stop.template.is_some()).await;
            let shown = stops.get(usize::from(first.max(1)) - 1..).unwrap_or_default();
            let shown = &shown[..shown.len().min(QUEUED_STOP_ROWS)];
            Ok(render::hwtacacs_queued_stops(shown, first, stops.len() as u64))
        }
        DisplayRequest::HwtacacsServerTemplate { template, verbose } => {
            let mut servers = servers(&reports(daemon).await);
            since_reset(&mut servers, &daemon.hwtacacs_counted.borrow());
            render::hwtacacs_server_template(&daemon.running(), template.as_ref(), verbose, &servers)
        }
        DisplayRequest::AuthorizationPacket { server, coa } => {
            render::authorization_packet(server, coa, &daemon.authorization.report())
        }
        DisplayRequest::Relay => {
            let mut sum = RelayReport::default();
            ask_workers(daemon, WorkerMessage::RelayReport).await.iter().for_each(|report| sum.add(report));
            Ok(render::relay(&daemon.running().relay, &sum))
        }
        DisplayRequest::RadiusServerBacklog { group } => {
            render::radius_server_backlog(&daemon.running(), group.as_ref(), &reports(daemon).await)
        }
        DisplayRequest::RadiusServerPacket { address, vpn, port } => {
            let reports = reports(daemon).await;
            render::radius_server_packet(address, vpn, port, &servers(&reports), &discards(&reports))
        }
    }
}

/// Asks every worker the same and gathers what they answer.
pub(super) async fn ask_workers<T>(daemon: &Daemon, question: impl Fn(oneshot::Sender<T>) -> WorkerMessage) -> Vec<T> {
    let mut answers = Vec::with_capacity(daemon.workers.len());
    for worker in &daemon.workers {
        let (reply, answer) = oneshot::channel();
        worker.tell(question(reply));
        answers.extend(answer.await.ok());
    }
    answers
}

pub(crate) async fn reports(daemon: &Daemon) -> Vec<ShardReport> {
    ask_workers(daemon, WorkerMessage::Report).await
}

/// `reset hwtacacs-server statistics`: the shards count on, and what they have counted so far is left out of displays.
pub(super) async fn reset_hwtacacs_statistics(daemon: &Daemon) {
    let mut counted = servers(&reports(daemon).await);
    counted.retain(|server| server.path.transport.is_tacacs());
    daemon.hwtacacs_counted.replace(counted);
}

fn since_reset(servers: &mut [ServerReport], counted: &[ServerReport]) {
    for server in servers {
        let before = counted.iter().find(|before| before.path == server.path);
        *server = before.map_or(*server, |before| server.since(before));
    }
}

/// The Stops in the queue that are meant, of this server or any, in the order in which their sessions ended.
async fn queued_stops(
    daemon: &Daemon,
    server: Option<IpAddr>,
    is_meant: impl Fn(&QueuedStop) -> bool,
) -> Vec<QueuedStop> {
    let found = ask_workers(daemon, |reply| WorkerMessage::QueuedStops(usize::MAX, reply)).await;
    let is_of = |stop: &QueuedStop| server.is_none() || stop.server.map(|asked| asked.ip()) == server;
    let mut stops: Vec<_> = found.into_iter().flatten().filter(|stop| is_of(stop) && is_meant(stop)).collect();
    stops.sort_by_key(|stop| stop.closed);
    stops
}

/// What is found in a walk over all sessions; the workers go on meanwhile.
async fn survey(daemon: &Daemon) -> SurveyReport {
    let mut sum = SurveyReport::EMPTY;
    ask_workers(daemon, WorkerMessage::Survey).await.iter().for_each(|found| sum.add(found));
    sum
}

async fn access_users(daemon: &Daemon) -> (Vec<AccessUser>, usize) {
    let total = reports(daemon).await.iter().map(|report| report.sessions).sum::<u64>();
    let rows = ask_workers(daemon, |reply| WorkerMessage::AccessUsers(ACCESS_USER_ROWS, reply)).await;
    let mut rows = rows.into_iter().flatten().collect::<Vec<_>>();
    rows.truncate(ACCESS_USER_ROWS);
    (rows, usize::try_from(total).unwrap_or(usize::MAX))
}

async fn access_user(daemon: &Daemon, session_id: &str) -> Option<AccessUser> {
    let found = ask_workers(daemon, |reply| WorkerMessage::AccessUser(session_id.to_owned(), reply)).await;
    found.into_iter().flatten().next()
}

/// One row for each server: what the shards counted of it, added up.
fn servers(reports: &[ShardReport]) -> Vec<ServerReport> {
    let mut rows: Vec<ServerReport> = Vec::new();
    for report in reports.iter().flat_map(|report| &report.servers) {
        match rows.iter_mut().find(|row| row.path == report.path) {
            None => rows.push(*report),
            Some(row) => row.add(report),
        }
    }
    rows
}

/// Datagrams that changed nothing, on any shard.
fn discards(reports: &[ShardReport]) -> Discards {
    let mut sum = Discards::default();
    reports.iter().for_each(|report| sum.add(&report.discards));
    sum
}

#[cfg(test)]
mod tests {
    use model::settings::{ServerPath, Transport};

    use super::*;

    fn report(host: u8, transport: Transport, stops: u64) -> ServerReport {
        let path = ServerPath { transport, ..ServerPath::from(std::net::SocketAddr::from(([192, 0, 2, host], 49))) };
        ServerReport {
            up: false,
            pending: 7,
            window: 1,
            starts: 10,
            stops,
            responses: stops,
            round_trip_ns: 5,
            ..ServerReport::new(path)
        }
    }

    #[test]
    fn counters_begin_at_zero_at_a_reset_and_states_stay() {
        let counted = [report(1, Transport::Tacacs, 20), report(2, Transport::Tacacs, 20)];
        let mut now = [
            report(1, Transport::Tacacs, 23),
            // Counted anew since.
            report(2, Transport::Tacacs, 5),
            // Another path to the first.
            report(1, Transport::TacacsSingle, 23),
        ];
        since_reset(&mut now, &counted);
        assert_eq!(
            now.map(|server| (server.starts, server.stops, server.responses)),
            [(0, 3, 3), (10, 5, 5), (10, 23, 23)]
        );
        assert_eq!(now.map(|server| (server.up, server.pending, server.round_trip_ns)), [(false, 7, 5); 3]);
    }
}
