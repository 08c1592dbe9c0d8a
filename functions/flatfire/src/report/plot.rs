//! Plots as SVG, drawn by plotters without fonts: the reader's browser brings them.
//!
//! A plot is drawn twice, for wide and for narrow screens, because text in a picture shrinks with it. The colours are
//! those of the light scheme; the page's style sheet replaces each by a variable.

use std::fmt::Write as _;

use plotters::prelude::{
    ChartBuilder, Color, DrawingAreaErrorKind, IntoDrawingArea as _, IntoFont as _, IntoSegmentedCoord as _,
    RGBColor, Rectangle, SVGBackend, SegmentValue,
};

use super::words::short_number;

/// The colours of text, of lines, and of series, in the light scheme: the style sheet knows them.
const TEXT: RGBColor = RGBColor(0x4A, 0x55, 0x65);
const LINES: RGBColor = RGBColor(0xD5, 0xDA, 0xE1);

/// A bar that has something is at least so high, as a part of the plot: one failure of thousands is seen.
const LEAST_PART: f64 = 0.012;

/// What the bars of a series stand for, which decides their colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// What is in, or a plain number.
    Good,
    /// What is in, but not wholly.
    Warning,
    /// What failed.
    Bad,
    /// What is under way, or came to nothing without anybody's fault.
    Quiet,
}

impl Tone {
    const fn colour(self) -> RGBColor {
        match self {
            Self::Good => RGBColor(0x2B, 0x6C, 0xB0),
            Self::Warning => RGBColor(0xB4, 0x6E, 0x08),
            Self::Bad => RGBColor(0xB4, 0x23, 0x18),
            Self::Quiet => RGBColor(0x7B, 0x87, 0x94),
        }
    }

    /// Returns the word in the style sheet.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Bad => "bad",
            Self::Quiet => "quiet",
        }
    }
}

/// The bars of one colour.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) tone: Tone,
    /// A number for each label.
    pub(super) values: Vec<u64>,
}

/// Bars over days or months, one series upon the other.
#[derive(Debug, Clone)]
pub(super) struct BarPlot {
    /// What stands below the bars.
    pub(super) labels: Vec<String>,
    pub(super) series: Vec<Series>,
    /// Writes a number beside the axis.
    pub(super) number: fn(u64) -> String,
}

/// The size of a picture, in units of its text.
#[derive(Debug, Clone, Copy)]
struct Size {
    class: &'static str,
    width: u32,
    height: u32,
    /// About how many labels have room.
    labels: usize,
}

const SIZES: [Size; 2] = [
    Size { class: "wide", width: 920, height: 240, labels: 10 },
    Size { class: "narrow", width: 340, height: 220, labels: 4 },
];
/// Plotters writes about four fifths of it.
const FONT_SIZE: f64 = 16.0;

impl BarPlot {
    /// Returns whether there is anything to draw.
    pub(super) fn has_marks(&self) -> bool {
        self.highest() > 0
    }

    /// Returns the plot in both sizes, named for those who do not see it.
    pub(super) fn svg(&self, name: &str) -> anyhow::Result<String> {
        let mut both = String::new();
        for size in SIZES {
            let mut svg = String::new();
            self.draw(&mut svg, size).map_err(|error| anyhow::anyhow!("a plot cannot be drawn: {error}"))?;
            let opening = format!(
                "<svg class=\"plot {}\" role=\"img\" aria-label=\"{}\" ",
                size.class,
                askama::filters::escape(name, askama::filters::Html)?
            );
            let _ = writeln!(both, "{}", svg.replacen("<svg ", &opening, 1));
        }
        Ok(both)
    }

    fn draw(
        &self,
        svg: &mut String,
        size: Size,
    ) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'_> as plotters::prelude::DrawingBackend>::ErrorType>>
    {
        let root = SVGBackend::with_string(svg, (size.width, size.height)).into_drawing_area();
        let (bars, highest) = (self.labels.len().max(1), as_f64(self.highest().max(1)));
        let mut chart = ChartBuilder::on(&root)
            .margin(6)
            .x_label_area_size(26)
            .y_label_area_size(66)
            .build_cartesian_2d((0..bars - 1).into_segmented(), 0.0..highest * 1.04)?;
        let every = bars.div_ceil(size.labels);
        let label = |index: &SegmentValue<usize>| match index {
            SegmentValue::CenterOf(index) if index % every == 0 => self.labels.get(*index).cloned(),
            _ => None,
        };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(LINES.mix(0.0))
            .bold_line_style(LINES)
            .axis_style(LINES)
            .label_style(("sans-serif", FONT_SIZE).into_font().color(&TEXT))
            .x_labels(bars)
            .x_label_formatter(&|index| label(index).unwrap_or_default())
            .y_labels(5)
            .y_label_formatter(&|value| self.number_at(*value, highest))
            .draw()?;
        let mut tops = vec![0.0; bars];
        for series in &self.series {
            let bars = series.values.iter().zip(&mut tops).enumerate().filter(|(_, (value, _))| **value > 0);
            chart.draw_series(bars.map(|(index, (value, top))| {
                let bottom = *top;
                *top += as_f64(*value).max(highest * LEAST_PART);
                let corners = [
                    (SegmentValue::Exact(index), bottom),
                    (SegmentValue::Exact(index + 1), top.min(highest * 1.04)),
                ];
                let mut bar = Rectangle::new(corners, series.tone.colour().filled());
                bar.set_margin(0, 0, 1, 1);
                bar
            }))?;
        }
        root.present()
    }

    /// Writes whole numbers only: half a file says nothing.
    fn number_at(&self, value: f64, highest: f64) -> String {
        let is_whole = (value - value.round()).abs() < highest * 1e-6;
        if is_whole { (self.number)(as_u64(value)) } else { String::new() }
    }

    fn highest(&self) -> u64 {
        let sum = |index: usize| self.series.iter().filter_map(|series| series.values.get(index)).sum();
        (0..self.labels.len()).map(sum).max().unwrap_or_default()
    }
}

/// Returns a plot of plain numbers.
pub(super) fn of_numbers(labels: Vec<String>, name: &'static str, values: Vec<u64>) -> BarPlot {
    BarPlot { labels, series: vec![Series { name, tone: Tone::Good, values }], number: short_number }
}

#[expect(clippy::cast_precision_loss, reason = "the height of a bar")]
const fn as_f64(value: u64) -> f64 {
    value as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number beside an axis, never below 0"
)]
fn as_u64(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use super::{BarPlot, Series, Tone, of_numbers};

    #[test]
    fn every_number_is_a_bar_in_the_colour_of_its_series() {
        let mut plot = of_numbers(vec!["1 Nov".into(), "2 Nov".into()], "rows", vec![5, 0]);
        plot.series.push(Series { name: "failed", tone: Tone::Bad, values: vec![1, 2] });
        let svg = plot.svg("Rows \"by\" day").unwrap();
        assert_eq!(svg.matches("<svg ").count(), 2);
        assert_eq!(svg.matches("fill=\"#2B6CB0\"").count(), 2, "one a picture: {svg}");
        assert_eq!(svg.matches("fill=\"#B42318\"").count(), 4, "{svg}");
        assert!(svg.contains("aria-label=\"Rows &#34;by&#34; day\"") && svg.contains("1 Nov"), "{svg}");
        assert!(plot.has_marks());
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let empty = of_numbers(Vec::new(), "rows", Vec::new());
        assert!(!empty.has_marks());
        let zero = BarPlot { labels: vec!["a".into()], ..of_numbers(Vec::new(), "rows", vec![0]) };
        assert!(!zero.has_marks());
        assert!(zero.svg("rows").is_ok());
    }
}
