//! What pictures have in common: the header, legends, and the grid of small multiples with shared axes.

use super::axis::Axis;
use super::canvas::{Canvas, Type};
use super::font;
use super::palette::{FADED, FRAME, GRID, INK, Paint, orchestrator};
use crate::study::{Results, StrategyResults};

/// The width of every picture, and the height of those that need no more.
pub(super) const SIZE: (f64, f64) = (1_200.0, 700.0);
/// Free space at the left and the right edge.
pub(super) const MARGIN: f64 = 28.0;
/// Where the header and the legend end.
pub(super) const TOP: f64 = 104.0;

const TITLE: Type = Type::new(20.0, INK);
/// Titles of panels and words that stand beside marks.
pub(super) const STRONG: Type = Type::new(13.0, INK);
/// Legends, remarks and titles of axes.
pub(super) const PLAIN: Type = Type::new(12.0, FADED);
/// Labels of ticks.
pub(super) const SMALL: Type = Type::new(11.0, FADED);

/// A sheet with its header: what is shown, and of which study.
pub(super) fn sheet(results: &Results, title: &str, height: f64) -> Canvas {
    let mut canvas = Canvas::new(SIZE.0, height);
    let room = SIZE.0 - 2.0 * MARGIN;
    canvas.text((MARGIN, 36.0), TITLE, &font::fit(title, TITLE.size, room));
    let header = &results.header;
    let runs = if header.replications == 1 { "replication" } else { "replications" };
    let figures = format!(" · {} {runs} · seed {} · rollsim {}", header.replications, header.seed, header.version);
    let name = font::fit(&header.scenario, PLAIN.size, room - font::width(&figures, PLAIN.size) - 70.0);
    canvas.text((MARGIN, 57.0), PLAIN, &format!("scenario {name}{figures}"));
    canvas
}

/// How an entry of a legend looks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    /// A surface.
    Patch(Paint),
    /// A line of a width.
    Line(Paint, f64),
    /// A line of dashes.
    Dashes(Paint),
    /// A line within a band.
    Band(Paint),
}

/// A legend in the strip below the header.
pub(super) fn legend(canvas: &mut Canvas, entries: &[(Mark, &str)]) {
    let mut x = MARGIN;
    let y = 82.0;
    // Entries move closer where they would leave the sheet.
    let wide: f64 = entries.iter().map(|(mark, words)| mark.width() + font::width(words, PLAIN.size)).sum();
    let gap = ((SIZE.0 - 2.0 * MARGIN - wide) / entries.len().max(1) as f64).clamp(6.0, 24.0);
    for (mark, words) in entries {
        let middle = y - 4.5;
        match *mark {
            Mark::Patch(paint) => canvas.rect((x, y - 11.0), (x + 14.0, y + 2.0), paint),
            Mark::Line(paint, width) => {
                canvas.rect((x, middle - width / 2.0), (x + 24.0, middle + width / 2.0), paint);
            }
            Mark::Dashes(paint) => canvas.dashed_level((x, x + 24.0), middle, 1.4, paint),
            Mark::Band(paint) => {
                canvas.rect((x, y - 11.0), (x + 24.0, y + 2.0), paint.with_alpha(0.25));
                canvas.rect((x, middle - 1.0), (x + 24.0, middle + 1.0), paint);
            }
        }
        canvas.text((x + mark.width(), y), PLAIN, words);
        x += mark.width() + font::width(words, PLAIN.size) + gap;
    }
}

impl Mark {
    /// How much room it takes, with the space to its words.
    const fn width(self) -> f64 {
        match self {
            Mark::Patch(_) => 20.0,
            _ => 30.0,
        }
    }
}

/// A rectangle for data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Panel {
    /// The left and the right edge.
    pub x: (f64, f64),
    /// The upper and the lower edge.
    pub y: (f64, f64),
    /// The vertical axis is labelled here, not at a neighbour to the left.
    pub is_first: bool,
    /// The horizontal axis is labelled here, not at a neighbour below.
    pub is_last: bool,
}

/// The panels of some strategies, and the height of the picture that holds them.
pub(super) fn grid(number: usize) -> (f64, Vec<Panel>) {
    let columns = match number {
        0 | 1 => 1,
        2..=4 => 2,
        5 | 6 | 9 => 3,
        _ => 4,
    };
    let rows = number.max(1).div_ceil(columns);
    let (left, bottom, title, gap) = (MARGIN + 62.0, 52.0, 26.0, 20.0);
    let height = SIZE.1.max(TOP + bottom + rows as f64 * 180.0);
    let tall = (height - TOP - bottom + gap - 12.0) / rows as f64;
    let wide = (SIZE.0 - left - MARGIN + gap) / columns as f64;
    let panel = |place: usize| {
        let (row, column) = (place / columns, place % columns);
        let (x, y) = (left + column as f64 * wide, TOP + row as f64 * tall);
        Panel {
            x: (x.round(), (x + wide - gap).round()),
            y: ((y + title).round(), (y + tall - gap).round()),
            is_first: column == 0,
            is_last: place + columns >= number,
        }
    };
    (height.round(), (0..number).map(panel).collect())
}

/// Titles of the axes that all panels of a grid share.
pub(super) fn axis_titles(canvas: &mut Canvas, panels: &[Panel], x: &str, y: &str) {
    let edges = |pick: fn(&Panel) -> (f64, f64)| {
        panels.iter().map(pick).fold((f64::INFINITY, 0.0), |all: (f64, f64), one| (all.0.min(one.0), all.1.max(one.1)))
    };
    let (wide, tall) = (edges(|panel| panel.x), edges(|panel| panel.y));
    let height = canvas.height;
    canvas.text((f64::midpoint(wide.0, wide.1), height - 14.0), PLAIN.centred(), x);
    canvas.text_upwards((MARGIN - 7.0, f64::midpoint(tall.0, tall.1)), PLAIN.centred(), y);
}

impl Panel {
    /// Grid lines and labels, to be drawn before the data.
    pub(super) fn axes(&self, canvas: &mut Canvas, x: &Axis, y: &Axis) {
        let mut free = f64::NEG_INFINITY;
        for tick in y.ticks.iter().rev() {
            let place = y.place(tick.at, self.y.1, self.y.0);
            canvas.level(self.x, place, GRID);
            // From the top down, because that is where the most important label is.
            if self.is_first && place >= free {
                free = place + 15.0;
                canvas.text((self.x.0 - 7.0, place + 4.0), SMALL.right(), &tick.label);
            }
        }
        self.time_axis(canvas, x);
    }

    /// The grid lines and labels of the horizontal axis.
    pub(super) fn time_axis(&self, canvas: &mut Canvas, x: &Axis) {
        let mut free = f64::NEG_INFINITY;
        for tick in &x.ticks {
            let place = x.place(tick.at, self.x.0, self.x.1);
            canvas.plumb(place, self.y, GRID);
            let half = font::width(&tick.label, SMALL.size) / 2.0;
            // A label needs room of its own, and must not reach into the next panel.
            if self.is_last && place - half > free && place + half <= self.x.1 + 14.0 {
                canvas.plumb(place, (self.y.1, self.y.1 + 4.0), FRAME);
                canvas.text((place, self.y.1 + 17.0), SMALL.centred(), &tick.label);
                free = place + half + 6.0;
            }
        }
    }

    /// The line at the bottom, to be drawn after the data.
    pub(super) fn base(&self, canvas: &mut Canvas) {
        canvas.level(self.x, self.y.1, FRAME);
    }

    /// The strategy's name, its orchestrator, and a figure at the right.
    pub(super) fn title(&self, canvas: &mut Canvas, strategy: &StrategyResults, figure: &str) {
        let y = self.y.0 - 8.0;
        let taken = font::width(figure, SMALL.size) + 10.0;
        let orchestrator_width = font::width(&strategy.orchestrator, SMALL.size);
        canvas.circle((self.x.0 + 4.0, y - 4.5), 4.0, orchestrator(&strategy.orchestrator));
        let room = self.x.1 - self.x.0 - 14.0 - taken;
        let name = font::fit(&strategy.name, STRONG.size, room);
        canvas.text((self.x.0 + 14.0, y), STRONG, &name);
        let used = font::width(&name, STRONG.size) + 7.0;
        if used + orchestrator_width <= room {
            canvas.text((self.x.0 + 14.0 + used, y), SMALL, &strategy.orchestrator);
        }
        canvas.text((self.x.1, y), SMALL.right(), figure);
    }
}
