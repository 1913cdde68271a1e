//! A date computed, not asked for: the proleptic Gregorian calendar in UTC.

use std::fmt;

/// A moment as people write it. Printed like C's `ctime`: `Tue Nov 21 03:32:00 2023`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Utc {
    year: u64,
    /// 0–11.
    month: usize,
    /// 1–31.
    day: u64,
    /// 0–6 from Sunday.
    weekday: usize,
    /// Seconds since midnight.
    second: u64,
}

const DAY_S: u64 = 86_400;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

impl Utc {
    /// Years are counted from March, so that the leap day is the last one and the months before it follow one
    /// rule: five of them have 153 days.
    pub(super) fn from_epoch_s(epoch_s: u64) -> Utc {
        let days = epoch_s / DAY_S;
        // 719,468 days lie between 0000-03-01 and 1970-01-01; an era is 400 years, 146,097 days.
        let since_era_0 = days + 719_468;
        let (era, day_of_era) = (since_era_0 / 146_097, since_era_0 % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = (month_from_march + 2) % 12;
        Utc {
            year: era * 400 + year_of_era + u64::from(month < 2),
            month: month as usize,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
            // 1970-01-01 was a Thursday.
            weekday: ((days + 4) % 7) as usize,
            second: epoch_s % DAY_S,
        }
    }
}

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (weekday, month, day) = (WEEKDAYS[self.weekday], MONTHS[self.month], self.day);
        let (hour, minute, second) = (self.second / 3600, self.second / 60 % 60, self.second % 60);
        write!(f, "{weekday} {month} {day:>2} {hour:02}:{minute:02}:{second:02} {}", self.year)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let table = [
            (0, "Thu Jan  1 00:00:00 1970"),
            (951_782_399, "Mon Feb 28 23:59:59 2000"),
            (951_782_400, "Tue Feb 29 00:00:00 2000"),
            (951_868_800, "Wed Mar  1 00:00:00 2000"),
            (1_704_067_199, "Sun Dec 31 23:59:59 2023"),
            (1_709_164_800, "Thu Feb 29 00:00:00 2024"),
            (4_107_542_400, "Mon Mar  1 00:00:00 2100"),
            (u64::from(u32::MAX), "Sun Feb  7 06:28:15 2106"),
        ];
        for (epoch_s, expected) in table {
            assert_eq!(Utc::from_epoch_s(epoch_s).to_string(), expected);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut yesterday = Utc::from_epoch_s(0);
        for day in 1..100_000 {
            let today = Utc::from_epoch_s(day * DAY_S);
            assert_eq!(today.weekday, (yesterday.weekday + 1) % 7);
            let next_day = today.day == yesterday.day + 1 && today.month == yesterday.month;
            let next_month = today.day == 1
                && yesterday.day >= 28
                && today.month == (yesterday.month + 1) % 12
                && today.year == yesterday.year + u64::from(today.month == 0);
            assert!(next_day || next_month, "{yesterday} then {today}");
            yesterday = today;
        }
    }

    #[test]
    fn the_end_of_time_has_a_date() {
        assert!(Utc::from_epoch_s(u64::MAX / 1000).to_string().ends_with("584556019"));
    }
}
