//! In some worlds an operator changes groups while requests are out, and shuts accounting down. With dice of its own, so that
//! the other worlds stay as they are.

use std::time::Duration;

use model::settings::{AccountingOn, RadiusGroup, RadiusServer, Secret};
use model::time::Mono;

use super::{Happening, World};
use crate::scenario::COPIES;
use crate::seed::Dice;

/// Beside the stream of a seed; with this one, no world that a test names has such an operator.
const CHANGES: u64 = 5395;

/// So long those who are to go are waited for.
const PATIENCE: Duration = Duration::from_secs(60);

impl World {
    pub(super) fn changes(seed: u64) -> Option<Dice> {
        let mut dice = Dice::new(seed).beside(CHANGES);
        dice.chance(30).then_some(dice)
    }

    /// Thinks of when groups are committed, and of when accounting is shut down.
    pub(super) fn plan_changes(&mut self) {
        let Some(dice) = &mut self.changes else { return };
        let (commit, shut_down) = (dice.seconds(0, 40), dice.chance(60).then(|| dice.seconds(0, 300)));
        let shut_down = shut_down.map(|at| self.scenario.stretch.of(at));
        self.after(commit, Happening::Commit);
        if let Some(at) = shut_down {
            self.after(at, Happening::ShutDown { life: 0, until: Mono::ZERO });
        }
    }

    /// Groups get other servers, other waits, and other secrets.
    pub(super) fn commit_groups(&mut self) {
        let now = self.now().mono;
        let (Some(process), Some(dice)) = (&mut self.process, &mut self.changes) else {
            return self.after(Duration::from_secs(3), Happening::Commit);
        };
        if self.healed || self.closed.is_some() {
            return;
        }
        if process.is_running() && !process.ending {
            if dice.chance(30) {
                let number = dice.index(self.scenario.servers.len());
                let (address, secret) = &mut self.scenario.servers[number];
                secret.push(b'!');
                let server = self.servers.iter_mut().find(|server| server.address == *address);
                server.into_iter().for_each(|server| server.secrets.push(secret.clone()));
            }
            let servers = self.scenario.servers.clone();
            let groups = self.scenario.settings.radius_groups.iter_mut();
            for (_, group) in groups.filter(|(name, _)| name.as_str() != COPIES) {
                change(dice, group, &servers);
            }
            process.commit(&self.scenario.settings);
            self.around.oracle.committed(now, &self.scenario.settings, &servers);
            self.around.trace.say(format_args!("groups are committed: {:?}", self.scenario.settings.radius_groups));
            *self.faults.entry("commits of groups").or_default() += 1;
            self.wake_workers();
        }
        if let Some(dice) = &mut self.changes {
            let next = dice.pick(&[300, 3_000, 60_000]);
            let next = self.scenario.stretch.of(dice.millis(next / 3, next));
            self.after(next, Happening::Commit);
        }
    }

    /// Everybody is logged out; when all have gone, or for too long have not, servers are told.
    pub(super) fn shut_down(&mut self, life: u32, until: Mono) {
        let now = self.now();
        let (Some(process), Some(dice)) = (&mut self.process, &mut self.changes) else {
            return self.after_shut_down_missed(life);
        };
        let is_new = life == 0;
        if self.healed && is_new || !is_new && life != self.life {
            return;
        }
        if !process.is_running() || process.ending {
            return self.after_shut_down_missed(life);
        }
        let until = if is_new { now.mono.plus(PATIENCE) } else { until };
        let left = process.shut_down(now);
        self.around.oracle.shut();
        if is_new {
            self.around.trace.say(format_args!("accounting is shut down: {left:?}"));
            *self.faults.entry("shutdowns").or_default() += 1;
        }
        let life = self.life;
        if left.online + left.owing > 0 && now.mono < until {
            if dice.rarely(3) {
                return self.die("killed while everybody is logged out");
            }
            self.after(Duration::from_millis(100), Happening::ShutDown { life, until });
        } else {
            process.announce_off(now);
            self.around.trace.say(format_args!("accounting ceases: {left:?}"));
            self.after(Duration::from_millis(100), Happening::Cease { life });
        }
        self.wake_workers();
    }

    /// It is tried again when there is a process; one that died in the middle let everybody in again.
    fn after_shut_down_missed(&mut self, life: u32) {
        if life == 0 && !self.healed {
            self.after(Duration::from_secs(3), Happening::ShutDown { life, until: Mono::ZERO });
        }
    }

    /// When servers were told, or before, the engine is started again.
    pub(super) fn cease(&mut self, life: u32) {
        let now = self.now().mono;
        let (Some(process), Some(dice)) = (&mut self.process, &mut self.changes) else { return };
        if life != self.life || process.ending {
            return;
        }
        if dice.rarely(10) {
            return self.die("killed while servers are told that accounting has ceased");
        }
        if !process.has_told_off() {
            return self.after(Duration::from_millis(100), Happening::Cease { life });
        }
        *self.faults.entry("shutdowns to the end").or_default() += 1;
        process.ending = true;
        let again = dice.chance(50).then(|| self.scenario.stretch.of(dice.seconds(10, 200)));
        self.around.oracle.ends(now);
        self.wake_workers();
        if let Some(next) = again.filter(|_| !self.healed) {
            self.after(next, Happening::ShutDown { life: 0, until: Mono::ZERO });
        }
    }
}

/// The group gets or loses a server, exchanges one, waits otherwise, tells servers or does not.
fn change(dice: &mut Dice, group: &mut RadiusGroup, servers: &[(std::net::SocketAddr, Vec<u8>)]) {
    let absent: Vec<_> =
        servers.iter().filter(|(at, _)| !group.accounting.iter().any(|member| member.address == *at)).collect();
    let added = (!absent.is_empty() && dice.chance(60)).then(|| RadiusServer::new(absent[dice.index(absent.len())].0));
    if group.accounting.len() + usize::from(added.is_some()) > 1 && dice.chance(60) {
        group.accounting.remove(dice.index(group.accounting.len()));
    }
    let at = dice.index(group.accounting.len() + 1);
    added.into_iter().for_each(|server| group.accounting.insert(at, server));
    for member in &mut group.accounting {
        let secret = servers.iter().find(|(at, _)| *at == member.address).map(|(_, secret)| secret.clone());
        member.shared_key = secret.map(|secret| Secret::new(secret, String::new()));
    }
    if dice.chance(30) {
        (group.retransmit, group.timeout_s) = (dice.pick(&[1, 2, 3]), dice.pick(&[3, 4, 6]));
    }
    if dice.chance(20) {
        group.accounting_on =
            dice.pick(&[AccountingOn::Disabled, AccountingOn::Enabled, AccountingOn::Wait, AccountingOn::Wait]);
    }
}
