//! What bill files are called on the server (BEHAVIOUR.md 7.5).

/// Files that share one moment in their names, at most.
pub const FILE_SEQUENCE_MAX: u16 = 999;

/// `<stem>-<YYYYMMDDhhmmss><sequence, 3 digits>.lam`, the moment in UTC, `stamp` in seconds since 1970.
pub fn file_name(stem: &str, stamp: u64, sequence: u16) -> String {
    let (year, month, day) = date(stamp / 86_400);
    let (hour, minute, second) = (stamp / 3600 % 24, stamp / 60 % 60, stamp % 60);
    format!("{stem}-{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}{sequence:03}.lam")
}

/// The name of the manifest beside a file (INTERFACES.md section 6).
pub fn manifest_name(file: &str) -> String {
    format!("{file}.manifest")
}

/// Year, month and day of a day counted from 1970-01-01.
fn date(mut day: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    // 400 years have 146,097 days.
    let mut year = 1970 + day / 146_097 * 400;
    day %= 146_097;
    loop {
        let len = if is_leap(year) { 366 } else { 365 };
        if day < len {
            break;
        }
        day -= len;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for len in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < len {
            break;
        }
        day -= len;
        month += 1;
    }
    (year, month, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_vendors() {
        // BEHAVIOUR.md section 12, vector 13, taken as UTC.
        for (stamp, sequence, name) in [
            (1_479_223_588, 1, "bill-20161115152628001.lam"),
            (1_479_223_588, 5, "bill-20161115152628005.lam"),
            (0, 999, "bill-19700101000000999.lam"),
            (951_782_400, 1, "bill-20000229000000001.lam"),
            (4_107_542_400, 1, "bill-21000301000000001.lam"),
            (1_798_761_599, 1, "bill-20261231235959001.lam"),
        ] {
            assert_eq!(file_name("bill", stamp, sequence), name);
        }
    }
}
