//! What the displays share: `label : value` rows between rules, columns, and how times and MAC addresses are written.

use model::time::Wall;

/// The column of the colon, counted from 1 (BEHAVIOUR.md 3.6).
const COLON_COLUMN: usize = 41;

/// Dashes of a rule around `label : value` rows.
const RULE_LENGTH: usize = 75;

/// `label : value` rows between two rules.
pub(super) fn labelled(rows: &[(&str, String)]) -> String {
    let rule = "-".repeat(RULE_LENGTH);
    let width = COLON_COLUMN - 3;
    let row = |(label, value): &(&str, String)| format!("  {label:<width$}: {}\n", visible(value));
    let rows: String = rows.iter().map(row).collect();
    format!("{rule}\n{rows}{rule}\n")
}

/// Two counters in each row, the colons below each other.
pub(super) fn two_per_row(pairs: &[[(&str, u64); 2]]) -> String {
    let cell = |(label, count): (&str, u64)| format!("{label:<24}: {count:<20}");
    pairs
        .iter()
        .map(|[left, right]| format!("  {}  {}", cell(*left), cell(*right)).trim_end().to_owned() + "\n")
        .collect()
}

/// Columns under their titles, each as wide as its widest cell, two blanks apart; `trailer` below the last rule.
pub(super) fn columns<const N: usize>(titles: [&str; N], rows: &[[String; N]], trailer: &str) -> String {
    let mut widths = titles.map(str::len);
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| visible(cell))).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("  {}", padded.collect::<Vec<_>>().join("  ")).trim_end().to_owned() + "\n"
    };
    let rule = "-".repeat(widths.iter().sum::<usize>() + 2 * N + 2) + "\n";
    let body: String = rows.iter().map(|row| line(row.each_ref().map(String::as_str))).collect();
    format!("{rule}{}{rule}{body}{rule}  {trailer}\n", line(titles))
}

/// What subscribers and planes say, as it may stand on a terminal: whatever would move the cursor, change the direction or break
/// the line is spelt out. In JSON it stays as it is.
pub(super) fn visible(text: &str) -> String {
    let hides = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if hides(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// What the vendor writes below a list.
pub(super) fn total(total: usize, printed: usize) -> String {
    format!("Total {total},{printed} printed")
}

/// `YYYY/MM/DD hh:mm:ss`, UTC.
pub(super) fn timestamp(at: Wall) -> String {
    let seconds = at.as_millis() / 1000;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}/{month:02}/{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// `h:mm:ss`.
/// As [`timestamp`], to the millisecond.
pub(super) fn milliseconds(at: Wall) -> String {
    format!("{}.{:03}", timestamp(at), at.as_millis() % 1000)
}

pub(super) fn elapse(seconds: u64) -> String {
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Epoch seconds; a double holds milliseconds exactly enough until far beyond any date that can be printed.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of this millennium need 45 bits of 53")]
pub(super) fn seconds(at: Wall) -> f64 {
    at.as_millis() as f64 / 1000.0
}

/// `xxxx-xxxx-xxxx` (BEHAVIOUR.md 7.6).
pub(super) fn mac(mac: Option<[u8; 6]>) -> String {
    let Some([a, b, c, d, e, f]) = mac else { return "-".to_owned() };
    format!("{a:02x}{b:02x}-{c:02x}{d:02x}-{e:02x}{f:02x}")
}

/// `xx:xx:xx:xx:xx:xx`, as in bill files.
pub(super) fn mac_json(mac: Option<[u8; 6]>) -> Option<String> {
    mac.map(|mac| mac.map(|octet| format!("{octet:02x}")).join(":"))
}

/// The date of a day counted from 1970-01-01. The year is taken to begin in March, so that the leap day is its
/// last; a month then begins on day (153 m + 2) / 5 of it, and 400 years have 146,097 days.
fn civil(days_since_1970: u64) -> (u64, u64, u64) {
    // From 0000-03-01 to 1970-01-01 there are 719,468 days.
    let days = days_since_1970 + 719_468;
    let era_day = days % 146_097;
    let era_year = (era_day - era_day / 1460 + era_day / 36_524 - era_day / 146_096) / 365;
    let year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
    let march_month = (5 * year_day + 2) / 153;
    let day = year_day - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = days / 146_097 * 400 + era_year + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_civil_dates() {
        for (seconds, text) in [
            (0, "1970/01/01 00:00:00"),
            (951_782_399, "2000/02/28 23:59:59"),
            (951_782_400, "2000/02/29 00:00:00"),
            (1_479_223_588, "2016/11/15 15:26:28"),
            (4_107_542_400, "2100/03/01 00:00:00"),
        ] {
            assert_eq!(timestamp(Wall::from_millis(seconds * 1000 + 999)), text);
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["s1".to_owned(), "x".to_owned()], ["longer".to_owned(), "y".to_owned()]];
        let text = columns(["Name", "B"], &rows, "Total 2,2 printed");
        assert_eq!(
            text,
            "-------------\n  Name    B\n-------------\n  s1      x\n  longer  y\n-------------\n  Total 2,2 printed\n"
        );
    }
}
