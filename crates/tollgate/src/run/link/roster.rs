//! The packet planes by name: their numbers for this life, who is linked, and who comes and goes too often.

use std::sync::Arc;
use std::time::Duration;

use model::ids::PlaneIndex;
use model::time::Mono;
use plane::hello::Answer;

/// Planes that may be linked at once; each holds four descriptors.
const LINKED_MAX: usize = 64;
/// Names of planes that may link in one life, those in the ledger and relay clients included. A plane that ever linked keeps its
/// number.
const NAMES_MAX: usize = 8192;
/// A link that ends sooner was a brief one. After two in a row the plane is answered so long after the last one's end: each
/// coming and each going takes a walk over all sessions.
const BRIEF: Duration = Duration::from_secs(1);

/// One plane.
struct Plane {
    name: Arc<str>,
    /// Since when it is linked, or about to be.
    linked: Option<Mono>,
    /// Links in a row that were brief, and the end of the last one.
    brief: u32,
    ended: Mono,
}

/// The planes' numbers for this life, and who is linked now.
#[derive(Default)]
pub(crate) struct Planes(Vec<Plane>);

impl Planes {
    /// The number of the plane of this name; a new one gets the next.
    pub(crate) fn index(&mut self, name: &str) -> Option<PlaneIndex> {
        let known = self.0.iter().position(|known| &*known.name == name);
        let index = known.unwrap_or_else(|| {
            self.0.push(Plane { name: name.into(), linked: None, brief: 0, ended: Mono::from_nanos(0) });
            self.0.len() - 1
        });
        u16::try_from(index).ok().map(PlaneIndex)
    }

    /// Takes the place of the plane of this name, to be given back by [`release`](Self::release), and says how long it has to
    /// wait for its answer.
    pub(super) fn claim(&mut self, name: &str, now: Mono) -> Result<(PlaneIndex, Duration), Answer> {
        let known = self.0.iter().find(|known| &*known.name == name);
        if known.is_some_and(|known| known.linked.is_some()) {
            return Err(Answer::NameTaken);
        }
        let linked = self.0.iter().filter(|plane| plane.linked.is_some()).count();
        if linked >= LINKED_MAX || known.is_none() && self.0.len() >= NAMES_MAX {
            return Err(Answer::TooMany);
        }
        let index = self.index(name).ok_or(Answer::TooMany)?;
        let plane = &mut self.0[usize::from(index.0)];
        let since = now.since(plane.ended);
        let pause = if plane.brief < 2 { Duration::ZERO } else { BRIEF.saturating_sub(since) };
        plane.linked = Some(now.plus(pause));
        Ok((index, pause))
    }

    /// Its link has ended, or did not come to be.
    pub(super) fn release(&mut self, plane: PlaneIndex, now: Mono) {
        let Some(plane) = self.0.get_mut(usize::from(plane.0)) else { return };
        let since = plane.linked.take().map_or(Duration::ZERO, |linked| now.since(linked));
        plane.brief = if since < BRIEF { plane.brief.saturating_add(1) } else { 0 };
        plane.ended = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_name_is_linked_once() {
        let mut planes = Planes::default();
        let (one, _) = planes.claim("one", at(0)).unwrap();
        assert_eq!(planes.claim("one", at(1)), Err(Answer::NameTaken));
        let (two, _) = planes.claim("two", at(2)).unwrap();
        assert_ne!(one, two);
        planes.release(one, at(5000));
        assert_eq!(planes.claim("one", at(5000)), Ok((one, Duration::ZERO)));
    }

    #[test]
    fn who_comes_and_goes_is_answered_once_a_second() {
        let mut planes = Planes::default();
        let mut now = 0;
        let mut pauses = Vec::new();
        for lasts in [10, 10, 10, 10, 3000, 10, 10, 10] {
            let (plane, pause) = planes.claim("flapping", at(now)).unwrap();
            now += u64::try_from(pause.as_millis()).unwrap() + lasts;
            planes.release(plane, at(now));
            pauses.push(pause.as_millis());
            now += 100;
        }
        assert_eq!(pauses, [0, 0, 900, 900, 900, 0, 0, 900]);
        let later = planes.claim("flapping", at(now + 5000)).unwrap();
        assert_eq!(later.1, Duration::ZERO);
    }

    #[test]
    fn planes_and_names_have_an_end() {
        let mut planes = Planes::default();
        let linked: Vec<_> =
            (0..LINKED_MAX).map(|number| planes.claim(&format!("p{number}"), at(0)).unwrap().0).collect();
        assert_eq!(planes.claim("more", at(0)), Err(Answer::TooMany));
        linked.into_iter().for_each(|plane| planes.release(plane, at(2000)));
        for number in LINKED_MAX..NAMES_MAX {
            let (plane, _) = planes.claim(&format!("p{number}"), at(2000)).unwrap();
            planes.release(plane, at(4000));
        }
        assert_eq!(planes.claim("more", at(5000)), Err(Answer::TooMany));
        assert!(planes.claim("p0", at(5000)).is_ok(), "who is known comes back");
    }
}
