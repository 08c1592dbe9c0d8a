//! Numbers, dates and lengths of time as people read them.

use indicatif::{BinaryBytes, HumanCount};
use jiff::Timestamp;
use jiff::civil::Date;

/// Returns a number as `1,234,567`.
pub(super) fn grouped(count: u64) -> String {
    HumanCount(count).to_string()
}

/// Returns a number with its noun: `1 file`, `1,204 files`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// Returns a number that fits beside an axis: `1,200`, `12k`, `3.5M`.
pub(super) fn short_number(count: u64) -> String {
    let units = [(1_000_000_000, "G"), (1_000_000, "M"), (10_000, "k")];
    let Some((_, unit)) = units.iter().find(|(least, _)| count >= *least) else { return grouped(count) };
    let size = match *unit {
        "k" => 1_000,
        "M" => 1_000_000,
        _ => 1_000_000_000,
    };
    let tenths = count * 10 / size;
    match tenths % 10 {
        0 => format!("{}{unit}", tenths / 10),
        tenth => format!("{}.{tenth}{unit}", tenths / 10),
    }
}

/// Returns words for a terminal without the marks of code.
pub(super) fn plain(words: &str) -> String {
    words.replace('`', "")
}

/// Returns a size as `12.3 GiB`.
pub(super) fn bytes(count: u64) -> String {
    BinaryBytes(count).to_string()
}

/// Returns a size that fits beside an axis.
pub(super) fn short_bytes(count: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let power = count.checked_ilog2().map_or(0, |bits| bits / 10);
    let unit = usize::try_from(power).ok().and_then(|power| units.get(power)).unwrap_or(&"");
    let tenths = (u128::from(count) * 10) >> (10 * power);
    match tenths % 10 {
        _ if tenths >= 100 => format!("{} {unit}", tenths / 10),
        0 => format!("{} {unit}", tenths / 10),
        tenth => format!("{}.{tenth} {unit}", tenths / 10),
    }
}

/// Returns how large a part is: `100 %`, `0.4 %`, `<0.1 %`. What is not everything is never 100 %.
pub(super) fn percent(part: u64, all: u64) -> String {
    if part >= all {
        return if all == 0 { "–".to_owned() } else { "100 %".to_owned() };
    }
    let tenths = u128::from(part) * 1_000 / u128::from(all);
    match tenths {
        0 if part == 0 => "0 %".to_owned(),
        0 => "<0.1 %".to_owned(),
        1..100 => format!("{}.{} %", tenths / 10, tenths % 10),
        100.. => format!("{} %", tenths / 10),
    }
}

/// Returns a length of time in its largest unit: `4 s`, `12 min`, `3 h`, `2 days`.
pub(super) fn length(milliseconds: i64) -> String {
    let seconds = milliseconds / 1_000;
    match seconds {
        ..1 => "less than 1 s".to_owned(),
        1..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        172_800.. => format!("{} days", seconds / 86_400),
    }
}

/// Returns a moment in UTC to the minute: `2026-11-30 17:20`.
pub(super) fn minute(milliseconds: i64) -> String {
    let moment = Timestamp::from_millisecond(milliseconds).map(|moment| moment.to_string());
    moment.unwrap_or_default().get(..16).unwrap_or_default().replace('T', " ")
}

/// Returns a date in UTC: `2026-11-30`.
pub(super) fn date(milliseconds: i64) -> String {
    minute(milliseconds).get(..10).unwrap_or_default().to_owned()
}

/// Returns a date as it stands below a bar: `30 Nov`.
pub(super) fn short_date(day: &str) -> String {
    day.parse::<Date>().map_or_else(|_| day.to_owned(), |date| date.strftime("%-d %b").to_string())
}

/// Returns a month as it stands below a bar: `Nov 26`.
pub(super) fn short_month(month: &str) -> String {
    let first = format!("{month}-01").parse::<Date>();
    first.map_or_else(|_| month.to_owned(), |date| date.strftime("%b %y").to_string())
}

/// Returns a month in words: `November 2026`.
pub(super) fn month_name(milliseconds: i64) -> String {
    let first = date(milliseconds).parse::<Date>();
    first.map(|date| date.strftime("%B %Y").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{counted, length, minute, percent, short_bytes, short_date, short_month, short_number};

    #[test]
    fn numbers_are_short_beside_an_axis() {
        let numbers = [0, 999, 1_200, 12_000, 12_500, 3_500_000, 2_000_000_000].map(short_number);
        assert_eq!(numbers, ["0", "999", "1,200", "12k", "12.5k", "3.5M", "2G"]);
        let sizes = [0, 1, 1_536, 200 << 20, u64::MAX].map(short_bytes);
        assert_eq!(sizes, ["0 B", "1 B", "1.5 KiB", "200 MiB", "15 EiB"]);
    }

    #[test]
    fn what_is_not_everything_is_not_100_percent() {
        let percents = [(0, 0), (0, 9), (1, 1), (1, 3), (1, 100_000), (999_999, 1_000_000), (7, 1_000)];
        let percents = percents.map(|(part, all)| percent(part, all));
        assert_eq!(percents, ["–", "0 %", "100 %", "33 %", "<0.1 %", "99 %", "0.7 %"]);
    }

    #[test]
    fn moments_and_lengths_are_in_words() {
        assert_eq!(minute(1_767_607_267_000), "2026-01-05 10:01");
        assert_eq!((short_date("2026-01-05").as_str(), short_month("2026-01").as_str()), ("5 Jan", "Jan 26"));
        assert_eq!(
            [0, 5_000, 600_000, 9_000_000, 200_000_000].map(length),
            ["less than 1 s", "5 s", "10 min", "2 h", "2 days"]
        );
        assert_eq!((counted(1, "file").as_str(), counted(1_204, "file").as_str()), ("1 file", "1,204 files"));
    }
}
