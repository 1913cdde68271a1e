//! In some worlds a server has subscribers logged out and changed, as long as there are any.

use super::{Happening, World};
use crate::authorizer::Authorizer;
use crate::driver::EAR;
use crate::network::Datagram;
use crate::scenario::Scenario;
use crate::seed::Dice;

impl World {
    /// With dice of its own, so that the other worlds stay as they are.
    pub(super) fn authorizer(seed: u64, scenario: &mut Scenario) -> Option<Authorizer> {
        let mut dice = Dice::new(seed.rotate_left(18));
        dice.chance(25).then(|| {
            Authorizer::introduce(&mut scenario.settings);
            Authorizer::new(dice, scenario.stretch)
        })
    }

    /// The server says something, and thinks of when to speak again.
    pub(super) fn order(&mut self) {
        if self.closed.is_some() {
            return;
        }
        let now = self.now();
        let Some(authorizer) = &mut self.authorizer else { return };
        let (octets, pause) = authorizer.speak(now, &self.around.planes, &mut self.around.oracle);
        let from = authorizer.address();
        let asked = octets.map(|octets| Datagram { from, to: EAR, octets });
        let arriving = asked.map(|asked| self.network.carry(&asked)).unwrap_or_default();
        for (delay, datagram) in arriving {
            self.after(delay, Happening::ToEngine(datagram));
        }
        self.after(pause, Happening::Order);
    }

    /// A datagram has come to where the engine listens to that server.
    pub(super) fn reach_ear(&mut self, datagram: &Datagram) {
        let now = self.now();
        if let Some(process) = &mut self.process {
            process.authorize(now, datagram, &mut self.around);
            self.wake_workers();
        }
    }
}
