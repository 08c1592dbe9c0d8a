//! The page: sections of paragraphs, plots and tables, which the template writes as HTML.

use askama::Template;

use super::plot::{BarPlot, Tone};

/// The whole page.
#[derive(Debug, Template)]
#[template(path = "report.html")]
pub(super) struct Page {
    pub(super) title: String,
    /// Of what, and when it was made.
    pub(super) subtitle: String,
    /// The answer in a sentence.
    pub(super) headline: String,
    pub(super) tone: Tone,
    /// More sentences.
    pub(super) summary: Vec<String>,
    pub(super) sections: Vec<Section>,
    /// Notes at the end.
    pub(super) notes: Vec<String>,
    pub(super) version: &'static str,
}

/// A part of the page with a heading.
#[derive(Debug, Default)]
pub(super) struct Section {
    /// What links name.
    pub(super) id: &'static str,
    pub(super) heading: &'static str,
    pub(super) blocks: Vec<PageBlock>,
    /// When and by which commands its numbers were made.
    pub(super) source: NumberSource,
}

/// Where numbers are from.
#[derive(Debug, Default)]
pub(super) struct NumberSource {
    pub(super) moment: String,
    pub(super) commands: Vec<String>,
}

impl PageTable {
    /// Returns the head of a column.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
    fn head(&self, index: &usize) -> &'static str {
        self.headers.get(*index).map_or("", |header| header.text)
    }
}

/// What stands in a section.
#[derive(Debug)]
pub(super) enum PageBlock {
    Paragraph(String),
    Figure(Figure),
    Table(PageTable),
    /// A table that is unfolded.
    Folded {
        summary: String,
        table: PageTable,
    },
}

/// A plot with its caption and its numbers.
#[derive(Debug)]
pub(super) struct Figure {
    pub(super) title: String,
    pub(super) caption: String,
    /// Made by plotters: the only text that is not escaped.
    pub(super) svg: String,
    /// Names and colours, if there are several.
    pub(super) legend: Vec<(&'static str, &'static str)>,
    pub(super) numbers: PageTable,
}

/// A table.
#[derive(Debug, Default)]
pub(super) struct PageTable {
    /// What it shows, for those who do not see what stands around it.
    pub(super) caption: String,
    pub(super) headers: Vec<Header>,
    pub(super) rows: Vec<Vec<PageCell>>,
    /// Whether a narrow screen shows a row as a block with a line for each cell.
    pub(super) is_stacked: bool,
    /// What is left out.
    pub(super) remark: Option<String>,
}

/// The head of a column.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) text: &'static str,
    pub(super) is_number: bool,
}

/// A cell; the first of a row is its head.
#[derive(Debug, Default)]
pub(super) struct PageCell {
    pub(super) text: String,
    pub(super) is_number: bool,
    /// Names and codes, which may break anywhere.
    pub(super) is_code: bool,
    /// A second line.
    pub(super) detail: Option<String>,
    /// How full, in percent.
    pub(super) bar: Option<u64>,
    pub(super) tone: Option<Tone>,
}

impl PageCell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub(super) fn number(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_number: true, ..Self::default() }
    }

    pub(super) fn code(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_code: true, ..Self::default() }
    }

    pub(super) fn with_detail(self, detail: Option<String>) -> Self {
        Self { detail, ..self }
    }
}

/// Returns the heads of columns; those of numbers end in `#`.
pub(super) fn headers(names: &[&'static str]) -> Vec<Header> {
    let header = |name: &&'static str| match name.strip_suffix('#') {
        Some(text) => Header { text, is_number: true },
        None => Header { text: name, is_number: false },
    };
    names.iter().map(header).collect()
}

impl Figure {
    /// Returns a plot; where there is nothing to draw, a sentence.
    pub(super) fn of(
        plot: &BarPlot,
        title: String,
        caption: String,
        numbers: PageTable,
    ) -> anyhow::Result<PageBlock> {
        if !plot.has_marks() {
            return Ok(PageBlock::Paragraph(format!("{title}: nothing to show.")));
        }
        let svg = plot.svg(&format!("{title}. {caption}"))?;
        let series = plot.series.iter().filter(|series| series.values.iter().any(|value| *value > 0));
        let mut legend: Vec<_> = series.map(|series| (series.name, series.tone.class())).collect();
        if plot.series.len() == 1 {
            legend.clear();
        }
        Ok(PageBlock::Figure(Self { title, caption, svg, legend, numbers }))
    }
}
