//! Progress bars. They are seen on a terminal only, and each fits into 80 columns.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::console::harmless;

/// Columns of a name beside a bar. With the numbers behind it, it leaves a few columns to the bar.
const NAME_COLUMNS: usize = 30;

/// Makes a bar of the files that are done.
pub(crate) fn bar_of_files(files: usize) -> ProgressBar {
    let bar = ProgressBar::new(files as u64);
    bar.with_style(style("{human_pos} of {human_len} files {wide_bar} {rate}, {eta} left"))
}

/// Makes a bar of the files whose rows stand. The time of other files is not known.
pub(crate) fn bar_of_loads(files: usize) -> ProgressBar {
    let bar = ProgressBar::new(files as u64);
    bar.with_style(style("{human_pos} of {human_len} files loaded {wide_bar} {elapsed_precise}"))
}

/// Makes a bar of the bytes that are read of a file.
pub(crate) fn bar_of_bytes(name: &str, bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes).with_message(shortened(name, NAME_COLUMNS));
    bar.with_style(style("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}"))
}

/// Makes a bar of the tables that are counted. Until [`show_table`] knows how many there are, it says what is read.
pub(crate) fn bar_of_tables() -> ProgressBar {
    ProgressBar::no_length().with_style(style("reading {wide_msg}"))
}

/// Shows on the bar of tables which one is counted, after how many of how many.
pub(crate) fn show_table(bar: &ProgressBar, name: &str, done: usize, all: usize) {
    if all > 0 {
        let is_first = bar.length().is_none();
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        if is_first {
            bar.set_style(style("{human_pos} of {human_len} tables {wide_bar} {msg}"));
        }
    }
    bar.set_message(shortened(name, NAME_COLUMNS));
}

/// Makes a spinner with a message, where the total is not known.
pub(crate) fn spinner() -> ProgressBar {
    let spinner =
        ProgressBar::new_spinner().with_style(style("{spinner} {elapsed_precise} {wide_msg} {rate}"));
    spinner.enable_steady_tick(Duration::from_millis(200));
    spinner
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("rate", |state: &ProgressState, text: &mut dyn Write| {
        write!(text, "{:.0}/s", state.per_sec()).ok();
    })
}

/// Returns the end of a name, which tells more than its beginning.
fn shortened(name: &str, columns: usize) -> String {
    let name = harmless(name);
    let count = name.chars().count();
    if count <= columns {
        return name.into_owned();
    }
    std::iter::once('…').chain(name.chars().skip(count + 1 - columns)).collect()
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn the_end_of_a_long_name_is_shown() {
        assert_eq!(shortened("incoming/ü.json", 15), "incoming/ü.json");
        assert_eq!(shortened("incoming/ü.json", 7), "…ü.json");
        assert_eq!(shortened("incoming/ü.json", 7).chars().count(), 7);
    }
}
