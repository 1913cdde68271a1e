//! Requests that are missed have the shard's places for as long as their timers run. Lines that lose much take them from no
//! server behind another line.

use std::time::Duration;

use model::event::Subscriber;
use model::settings::{Algorithm, ObjectName, Settings};

use crate::scene::{domain, group, plain, server};
use crate::stage::{Asked, Stage, at};

/// What a shard of a stage has.
const REQUESTS: u64 = 256;
/// How long datagrams are on the way, there and back, milliseconds.
const WAY_MS: u64 = 3;

/// So many servers with equal shares and the longest of timers, and one behind them in a group of its own, which serves the
/// domain `well`.
fn beside(servers: u8) -> Settings {
    let mut settings = plain(servers + 1);
    let mut own = group(&mut settings).clone();
    own.accounting.drain(..usize::from(servers));
    settings.radius_groups.insert(ObjectName::from("own"), own);
    let mut well = domain(&mut settings).clone();
    well.radius_group = Some(ObjectName::from("own"));
    settings.domains.insert(ObjectName::from("well"), well);
    let group = group(&mut settings);
    group.accounting.truncate(usize::from(servers));
    group.algorithm = Algorithm::LoadingShare;
    group.timeout_s = 25;
    for member in &mut group.accounting {
        member.weight = 50;
    }
    settings
}

/// A thousand log-ins a second at servers whose lines lose a fifth, and each second one at the server that is behind a line of
/// its own: the longest that its Starts waited to leave, milliseconds; and the most requests that were out.
fn play(servers: u8, seconds: u64) -> (u64, u64) {
    let mut stage = Stage::with(1, at(100_000), &beside(servers), 32_768).linked(1, 0);
    let (mut dice, mut came, mut waited, mut most) = (1_u32, None, 0, 0);
    let mut replies: Vec<(u64, Asked)> = Vec::new();
    for ms in 0..seconds * 1_000 {
        stage.up(&format!("u{ms}"), ms as u32);
        if ms % 1_000 == 500 {
            assert_eq!(came.replace(ms), None, "the Start of a second ago has left");
            stage.up_in("well", &format!("w{ms}"), 32_000 + (ms / 1_000) as u32, Subscriber::default());
        }
        stage.turn();
        for asked in std::mem::take(&mut stage.asked) {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let is_own = asked.to == server(servers + 1);
            if is_own {
                waited = waited.max(ms - came.take().unwrap());
            }
            if is_own || !(dice >> 16).is_multiple_of(5) {
                replies.push((ms + WAY_MS, asked));
            }
        }
        let arrived = replies.partition_point(|(due, _)| *due <= ms);
        for (_, asked) in replies.drain(..arrived) {
            stage.reply(&asked);
        }
        stage.pass(Duration::from_millis(1));
        most = most.max(stage.shard.report().servers.iter().map(|row| row.pending).sum());
    }
    (waited, most)
}

#[test]
fn row_5_2_lines_that_lose_much_leave_places_to_other_servers() {
    for servers in 1..=3 {
        let (waited, most) = play(servers, 20);
        println!("{servers} servers behind bad lines: a Start waited {waited} ms elsewhere, {most} were out");
        assert!(most < REQUESTS, "{servers}: no place was left");
        assert!(waited <= 10, "{servers}: {waited} ms");
    }
}
