//! Certificates that end soon: one alarm for each when 30 days are left, and one more when it is renewed or not used any more.

use std::collections::BTreeSet;

use model::time::Wall;
use x509_parser::time::ASN1Time;

/// Milliseconds before its end at which a certificate is alarmed.
const NOTICE_MILLIS: u64 = 30 * 24 * 3600 * 1000;

/// As people read it.
pub(super) fn date(time: Wall) -> String {
    let seconds = i64::try_from(time.as_millis() / 1000).unwrap_or(i64::MAX);
    ASN1Time::from_timestamp(seconds).map_or_else(|_| time.to_string(), |date| date.to_string())
}

/// The end of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Expiry {
    /// The file that it stands in.
    pub(super) file: String,
    /// Whose it is.
    pub(super) subject: String,
    pub(super) not_after: Wall,
}

impl Expiry {
    fn is_near(&self, now: Wall) -> bool {
        self.not_after.as_millis() <= now.as_millis().saturating_add(NOTICE_MILLIS)
    }
}

/// What the operator has been told.
#[derive(Default)]
pub(super) struct Alarms {
    raised: BTreeSet<Expiry>,
}

/// Alarms of one look.
#[derive(Debug, Default, PartialEq, Eq)]
struct News {
    raised: Vec<Expiry>,
    cleared: Vec<Expiry>,
}

impl Alarms {
    /// Raises and clears what follows from all certificates that are in use.
    pub(super) fn tell<'a>(&mut self, used: impl Iterator<Item = &'a Expiry>, now: Wall) {
        let News { raised, cleared } = self.take(used, now);
        for Expiry { file, subject, not_after } in raised {
            let not_after = date(not_after);
            tracing::error!(target: "alarm", file, subject, not_after, "hwRadiusTlsCertExpires");
        }
        for Expiry { file, subject, .. } in cleared {
            tracing::warn!(target: "alarm", file, subject, "hwRadiusTlsCertExpiresClear");
        }
    }

    fn take<'a>(&mut self, used: impl Iterator<Item = &'a Expiry>, now: Wall) -> News {
        let near: BTreeSet<Expiry> = used.filter(|expiry| expiry.is_near(now)).cloned().collect();
        let raised = near.difference(&self.raised).cloned().collect();
        let cleared = self.raised.difference(&near).cloned().collect();
        self.raised = near;
        News { raised, cleared }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600 * 1000;

    #[test]
    fn an_end_is_alarmed_thirty_days_before_once_and_cleared_when_it_is_renewed() {
        let expiry = |file: &str, days: u64| Expiry {
            file: file.to_owned(),
            subject: "CN=a".to_owned(),
            not_after: Wall::from_millis(days * DAY),
        };
        let (near, far, renewed) = (expiry("/me.pem", 100), expiry("/ca.pem", 200), expiry("/me.pem", 465));
        let mut alarms = Alarms::default();
        let mut check = |day: u64, used: &[&Expiry], raised: &[&Expiry], cleared: &[&Expiry]| {
            let owned = |expiries: &[&Expiry]| expiries.iter().copied().cloned().collect();
            let expected = News { raised: owned(raised), cleared: owned(cleared) };
            let news = alarms.take(used.iter().copied(), Wall::from_millis(day * DAY));
            assert_eq!(news, expected, "day {day}");
        };
        check(69, &[&near, &far, &near], &[], &[]);
        check(70, &[&near, &far, &near], &[&near], &[]);
        check(71, &[&near, &far], &[], &[]);
        check(101, &[&near, &far], &[], &[]);
        check(102, &[&renewed, &far], &[], &[&near]);
        check(170, &[&renewed, &far], &[&far], &[]);
        check(171, &[&renewed], &[], &[&far]);
    }
}
