//! A connection that is cut, wherever it is cut: the final names are whole or are not there, the manifest never comes before its
//! file, and the next try succeeds.

use std::time::Duration;

use super::proxy::{Carried, End, relay};
use super::servers::open_ssh::{OpenSsh, Plan};
use super::{Delivered, DeliveryError, MANIFEST, MANIFEST_NAME, NAME, files, octets, whole};

const NEVER: u64 = u64::MAX;

/// What a cut can leave under the final names.
#[derive(Debug, Default)]
struct Left {
    nothing: u32,
    file: u32,
    both: u32,
}

#[tokio::test]
async fn a_connection_cut_anywhere_leaves_nothing_half_done() {
    let server = OpenSsh::start(Plan::default());
    let file = octets(70_000);
    let way = server.way();
    let (_, uncut) = through_relay(&server, &file, Carried { to_server: NEVER, to_client: NEVER }).await;
    remove_final(&server);
    let mut left = Left::default();
    for (number, limits) in cuts(uncut).into_iter().enumerate() {
        let (outcome, carried) = through_relay(&server, &file, limits).await;
        let what = format!("{limits:?} {carried:?}");
        assert!(matches!(outcome, Ok(Delivered::Verified) | Err(DeliveryError::Cut)), "{what}: {outcome:?}");
        server.rest().await;
        let found = files(&server.inbox());
        check(&found, &file, &what);
        match (found.contains_key(NAME), found.contains_key(MANIFEST_NAME)) {
            (false, _) => left.nothing += 1,
            (true, false) => left.file += 1,
            (true, true) => left.both += 1,
        }
        assert!(outcome.is_err() || found.contains_key(MANIFEST_NAME), "{what}: it was called delivered");
        if number % 4 == 0 {
            assert_eq!(way.deliver(&file).await, Ok(Delivered::Verified), "after {what}");
            server.rest().await;
            assert!(files(&server.inbox()) == whole(&file), "after {what}");
        }
        // A temporary file stays for the next try to stumble over.
        remove_final(&server);
    }
    assert_eq!(way.deliver(&file).await, Ok(Delivered::Verified));
    assert!(files(&server.inbox()) == whole(&file));
    println!("{uncut:?} uncut; final names after the cuts: {left:?}");
    assert!(left.nothing > 20 && left.file > 0 && left.both > 0, "the cuts miss a stage: {left:?}");
}

#[tokio::test]
async fn a_connection_that_falls_silent_is_given_up() {
    let server = OpenSsh::start(Plan::default());
    let file = octets(70_000);
    // Before the greeting, in the payload.
    for to_server in [0, 40_000] {
        let (port, relayed) = relay(server.port, Carried { to_server, to_client: NEVER }, End::Silence).await;
        let mut way = server.way();
        way.server.login.as_mut().unwrap().port = port;
        way.be_impatient(Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(way.deliver(&file).await, Err(DeliveryError::TimedOut), "{to_server}");
        assert!(files(&server.inbox()).keys().all(|name| name.starts_with('.')), "{to_server}");
        relayed.abort();
    }
    assert_eq!(server.way().deliver(&file).await, Ok(Delivered::Verified));
    assert!(files(&server.inbox()) == whole(&file));
}

/// Upwards closely over the log-in, widely over the payload, closely over what follows it; downwards evenly: most of that
/// are log-in and acknowledgements. And very closely over the last words of both, where the manifest is there and nobody knows yet.
fn cuts(uncut: Carried) -> Vec<Carried> {
    let end = uncut.to_server;
    let upward =
        (0..4_000).step_by(500).chain((4_000..end - 2_000).step_by(11_000)).chain((end - 2_000..end).step_by(160));
    let upward = upward.chain((end - 160..end).step_by(40));
    let downward = (0..uncut.to_client).step_by(190).chain((uncut.to_client - 400..uncut.to_client).step_by(40));
    let upward = upward.map(|to_server| Carried { to_server, to_client: NEVER });
    upward.chain(downward.map(|to_client| Carried { to_server: NEVER, to_client })).collect()
}

fn check(found: &std::collections::BTreeMap<String, Vec<u8>>, file: &[u8], cut: &str) {
    assert!(found.get(NAME).is_none_or(|found| found == file), "{cut}: half a file under its final name");
    assert!(found.get(MANIFEST_NAME).is_none_or(|found| found == MANIFEST), "{cut}: half a manifest");
    assert!(!found.contains_key(MANIFEST_NAME) || found.contains_key(NAME), "{cut}: a manifest without its file");
}

async fn through_relay(server: &OpenSsh, file: &[u8], limits: Carried) -> (Result<Delivered, DeliveryError>, Carried) {
    let (port, relayed) = relay(server.port, limits, End::Cut).await;
    let mut around = server.way();
    around.server.login.as_mut().unwrap().port = port;
    let outcome = around.deliver(file).await;
    (outcome, relayed.await.unwrap())
}

fn remove_final(server: &OpenSsh) {
    for name in [NAME, MANIFEST_NAME] {
        let _ = std::fs::remove_file(server.inbox().join(name));
    }
}
