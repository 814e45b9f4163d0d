//! The canvas: pictures put shapes on it in logical pixels, and it renders them in both formats. The only place that
//! plotters draws in.

use super::Picture;
use super::font::{self, SCALE};
use super::palette::{PAPER, Paint};
use plotters::prelude::{BitMapBackend, Color, DrawingBackend, IntoFont, RGBAColor, RGBColor, SVGBackend, ShapeStyle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontTransform, TextStyle};
use std::fmt::Display;

/// A place, logical pixels from the upper left corner.
pub(super) type Point = (f64, f64);

/// Which part of a text its place names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Left,
    Centre,
    Right,
}

/// How a text is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Type {
    /// Logical pixels in one em.
    pub size: f64,
    /// Its colour.
    pub paint: Paint,
    /// Which part of it lies at its place.
    pub anchor: Anchor,
}

impl Type {
    /// Text that begins at its place.
    pub(super) const fn new(size: f64, paint: Paint) -> Self {
        Type { size, paint, anchor: Anchor::Left }
    }

    /// The same, ending at its place.
    pub(super) const fn right(self) -> Self {
        Type { anchor: Anchor::Right, ..self }
    }

    /// The same, with its middle at its place.
    pub(super) const fn centred(self) -> Self {
        Type { anchor: Anchor::Centre, ..self }
    }
}

#[derive(Debug)]
enum Shape {
    /// From the upper left to the lower right corner.
    Rect(Point, Point, Paint),
    /// A line through points, of a width.
    Line(Vec<Point>, f64, Paint),
    /// All between two lines over the same places: x, y of the upper line, y of the lower one.
    Band(Vec<(f64, f64, f64)>, Paint),
    /// A convex surface.
    Polygon(Vec<Point>, Paint),
    Circle(Point, f64, Paint),
    /// A text by the beginning, middle or end of its baseline, and whether it runs upwards.
    Text(Point, Type, String, bool),
}

/// A picture in the making.
#[derive(Debug)]
pub(super) struct Canvas {
    /// Logical pixels.
    pub width: f64,
    /// Logical pixels.
    pub height: f64,
    shapes: Vec<Shape>,
}

impl Canvas {
    /// An empty sheet of a whole number of pixels.
    pub(super) fn new(width: f64, height: f64) -> Self {
        Canvas { width: width.round(), height: height.round(), shapes: Vec::new() }
    }

    /// A filled rectangle.
    pub(super) fn rect(&mut self, from: Point, to: Point, paint: Paint) {
        if finite(&[from, to]) && to.0 > from.0 && to.1 > from.1 {
            self.shapes.push(Shape::Rect(from, to, paint));
        }
    }

    /// A horizontal line, one pixel high and sharp.
    pub(super) fn level(&mut self, x: (f64, f64), y: f64, paint: Paint) {
        self.rect((x.0, y.floor()), (x.1, y.floor() + 1.0), paint);
    }

    /// A vertical line, one pixel wide and sharp.
    pub(super) fn plumb(&mut self, x: f64, y: (f64, f64), paint: Paint) {
        self.rect((x.floor(), y.0), (x.floor() + 1.0, y.1), paint);
    }

    /// A horizontal line of dashes.
    pub(super) fn dashed_level(&mut self, x: (f64, f64), y: f64, width: f64, paint: Paint) {
        self.dashes(x, |from, to| ((from, y - width / 2.0), (to, y + width / 2.0)), paint);
    }

    /// A vertical line of dashes.
    pub(super) fn dashed_plumb(&mut self, x: f64, y: (f64, f64), width: f64, paint: Paint) {
        self.dashes(y, |from, to| ((x - width / 2.0, from), (x + width / 2.0, to)), paint);
    }

    fn dashes(&mut self, along: (f64, f64), corners: impl Fn(f64, f64) -> (Point, Point), paint: Paint) {
        let (dash, period) = (5.0, 9.0);
        let number = ((along.1 - along.0) / period).clamp(0.0, 2_000.0).ceil() as u32;
        for place in 0..number {
            let from = along.0 + f64::from(place) * period;
            let (from, to) = corners(from, (from + dash).min(along.1));
            self.rect(from, to, paint);
        }
    }

    /// A line through points; a lone point becomes a dot.
    pub(super) fn line(&mut self, points: Vec<Point>, width: f64, paint: Paint) {
        match points.as_slice() {
            [] => {}
            [alone] => self.circle(*alone, width, paint),
            _ if finite(&points) => self.shapes.push(Shape::Line(points, width, paint)),
            _ => {}
        }
    }

    /// All between two lines over the same places, from left to right: x, y of the upper line, y of the lower one.
    pub(super) fn band(&mut self, edges: Vec<(f64, f64, f64)>, paint: Paint) {
        let known = edges.iter().all(|(x, upper, lower)| x.is_finite() && upper.is_finite() && lower.is_finite());
        if known && edges.len() >= 2 {
            self.shapes.push(Shape::Band(edges, paint));
        }
    }

    /// A filled convex polygon.
    pub(super) fn polygon(&mut self, points: Vec<Point>, paint: Paint) {
        if finite(&points) && points.len() >= 3 {
            self.shapes.push(Shape::Polygon(points, paint));
        }
    }

    /// A disc.
    pub(super) fn circle(&mut self, centre: Point, radius: f64, paint: Paint) {
        if finite(&[centre]) {
            self.shapes.push(Shape::Circle(centre, radius, paint));
        }
    }

    /// A line of text on a baseline.
    pub(super) fn text(&mut self, at: Point, style: Type, text: &str) {
        self.write(at, style, text, false);
    }

    /// A line of text that runs upwards, its baseline to the right of it.
    pub(super) fn text_upwards(&mut self, at: Point, style: Type, text: &str) {
        self.write(at, style, text, true);
    }

    fn write(&mut self, at: Point, style: Type, text: &str, upwards: bool) {
        // Control characters have no glyph, and no place in XML.
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if finite(&[at]) && !text.trim().is_empty() {
            self.shapes.push(Shape::Text(at, style, text, upwards));
        }
    }

    /// The picture in both formats.
    pub(super) fn finish(self, name: &str) -> Picture {
        let size = (self.width as u32, self.height as u32);
        Picture { name: name.to_owned(), svg: self.svg(size), png: self.png(size) }
    }

    fn svg(&self, (width, height): (u32, u32)) -> String {
        let fine = (width * SCALE, height * SCALE);
        let mut svg = String::new();
        self.render(SVGBackend::with_string(&mut svg, fine), false);
        // The coordinates stay those of the finer device, so that lines do not jitter.
        let found = format!("width=\"{}\" height=\"{}\" viewBox", fine.0, fine.1);
        let meant = format!("width=\"{width}\" height=\"{height}\" stroke-linejoin=\"round\" viewBox");
        svg.replacen(&found, &meant, 1)
    }

    fn png(&self, (width, height): (u32, u32)) -> Vec<u8> {
        let fine = (width * SCALE, height * SCALE);
        let mut pixels = vec![0; 3 * fine.0 as usize * fine.1 as usize];
        self.render(BitMapBackend::with_buffer(&mut pixels, fine), true);
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Balanced);
        let mut writer = encoder.write_header().expect("a Vec takes all that is written to it");
        writer
            .write_image_data(&reduced(&pixels, width as usize))
            .expect("the buffer is of the size that was announced");
        writer.finish().expect("a Vec takes all that is written to it");
        bytes
    }

    fn render<B: DrawingBackend>(&self, mut backend: B, is_bitmap: bool) {
        let whole = Shape::Rect((0.0, 0.0), (self.width, self.height), PAPER);
        for shape in std::iter::once(&whole).chain(&self.shapes) {
            // Neither a buffer nor a string can refuse, and the font is registered before the first text is laid out.
            put(&mut backend, shape, is_bitmap).expect("drawing in memory succeeds");
        }
        backend.present().expect("drawing in memory succeeds");
    }
}

fn finite(points: &[Point]) -> bool {
    points.iter().all(|(x, y)| x.is_finite() && y.is_finite())
}

/// A length on the device.
fn device(length: f64) -> i32 {
    (length * f64::from(SCALE)).round() as i32
}

fn device_point((x, y): Point) -> (i32, i32) {
    (device(x), device(y))
}

fn style(paint: Paint) -> ShapeStyle {
    let (red, green, blue) = paint.rgb;
    ShapeStyle::from(RGBColor(red, green, blue).mix(paint.alpha)).filled()
}

/// plotters does not export the type of its backends' errors, so their words have to do.
type Drawn = Result<(), String>;

fn words(error: impl Display) -> String {
    error.to_string()
}

fn put<B: DrawingBackend>(backend: &mut B, shape: &Shape, is_bitmap: bool) -> Drawn {
    match shape {
        Shape::Rect(from, to, paint) => {
            let (from, to) = (device_point(*from), device_point(*to));
            let to = (to.0.max(from.0 + 1), to.1.max(from.1 + 1));
            backend.draw_rect(from, to, &style(*paint), true).map_err(words)
        }
        Shape::Circle(centre, radius, paint) => backend
            .draw_circle(device_point(*centre), device(*radius).max(1) as u32, &style(*paint), true)
            .map_err(words),
        Shape::Polygon(points, paint) => {
            backend.fill_polygon(points.iter().map(|point| device_point(*point)), &style(*paint)).map_err(words)
        }
        Shape::Line(points, width, paint) => {
            let style = style(*paint).stroke_width(device(*width).max(1) as u32);
            let points: Vec<(i32, i32)> = points.iter().map(|point| device_point(*point)).collect();
            if is_bitmap {
                bitmap_line(backend, &points, style)
            } else {
                backend.draw_path(points, &style).map_err(words)
            }
        }
        Shape::Band(edges, paint) if is_bitmap => bitmap_band(backend, edges, style(*paint)),
        Shape::Band(edges, paint) => {
            let upper = edges.iter().map(|(x, upper, _)| device_point((*x, *upper)));
            let lower = edges.iter().rev().map(|(x, _, lower)| device_point((*x, *lower)));
            let mut outline: Vec<(i32, i32)> = upper.chain(lower).collect();
            outline.dedup();
            backend.fill_polygon(outline, &style(*paint)).map_err(words)
        }
        Shape::Text(at, style, text, upwards) => put_text(backend, *at, *style, (text, *upwards), is_bitmap),
    }
}

/// Segment by segment with round joins: plotters' own outline of a wide line has holes at sharp turns.
fn bitmap_line<B: DrawingBackend>(backend: &mut B, points: &[(i32, i32)], style: ShapeStyle) -> Drawn {
    let half = f64::from(style.stroke_width) / 2.0;
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let (along, down) = (f64::from(x1 - x0), f64::from(y1 - y0));
        let length = (along * along + down * down).sqrt();
        if length > 0.0 {
            let (dx, dy) = ((half * down / length).round() as i32, (half * along / length).round() as i32);
            let outline = [(x0 + dx, y0 - dy), (x1 + dx, y1 - dy), (x1 - dx, y1 + dy), (x0 - dx, y0 + dy)];
            backend.fill_polygon(outline, &style).map_err(words)?;
        }
        backend.draw_circle((x1, y1), half as u32, &style, true).map_err(words)?;
    }
    Ok(())
}

/// Column by column: plotters' polygons paint some pixels twice, which shows where the paint is transparent.
fn bitmap_band<B: DrawingBackend>(backend: &mut B, edges: &[(f64, f64, f64)], style: ShapeStyle) -> Drawn {
    let scale = f64::from(SCALE);
    for pair in edges.windows(2) {
        let ((x0, upper0, lower0), (x1, upper1, lower1)) = (pair[0], pair[1]);
        for column in device(x0)..device(x1) {
            // The middle of the column, as a share of the way from the one place to the other.
            let way = (((f64::from(column) + 0.5) / scale - x0) / (x1 - x0)).clamp(0.0, 1.0);
            let (upper, lower) = (device(upper0 + way * (upper1 - upper0)), device(lower0 + way * (lower1 - lower0)));
            if lower > upper {
                backend.draw_rect((column, upper), (column + 1, lower), &style, true).map_err(words)?;
            }
        }
    }
    Ok(())
}

fn put_text<B: DrawingBackend>(backend: &mut B, at: Point, style: Type, text: (&str, bool), is_bitmap: bool) -> Drawn {
    let (text, upwards) = text;
    let (red, green, blue) = style.paint.rgb;
    let colour = RGBAColor(red, green, blue, style.paint.alpha);
    let (glyphs, width) = font::layout(text, style.size);
    let transform = if upwards { FontTransform::Rotate270 } else { FontTransform::None };
    let written = |size: f64, h_pos: HPos| {
        let font = (font::FAMILY, size).into_font().transform(transform.clone());
        TextStyle::from(font).color(&colour).pos(Pos::new(h_pos, VPos::Top))
    };
    let (x, y) = device_point(at);
    // From the baseline to what the backend takes for the upper edge, and along the baseline.
    let place = |up: i32, along: i32| {
        if upwards { (x - up, y - along) } else { (x + along, y - up) }
    };
    if !is_bitmap {
        let h_pos = match style.anchor {
            Anchor::Left => HPos::Left,
            Anchor::Centre => HPos::Center,
            Anchor::Right => HPos::Right,
        };
        // plotters writes 1/1.24 of a size as the em, and 0.76 em as the distance of the baseline.
        let em = font::device_em(style.size);
        return backend
            .draw_text(text, &written(em * 1.24, h_pos), place((0.76 * em).round() as i32, 0))
            .map_err(words);
    }
    let start = match style.anchor {
        Anchor::Left => 0.0,
        Anchor::Centre => -width / 2.0,
        Anchor::Right => -width,
    };
    let size = font::device_size(style.size).cast_signed();
    let written = written(f64::from(size), HPos::Left);
    let mut letter = [0; 4];
    for (character, along) in glyphs {
        let at = place(size / 2, start.round() as i32 + along);
        backend.draw_text(character.encode_utf8(&mut letter), &written, at).map_err(words)?;
    }
    Ok(())
}

/// The mean of every square of device pixels.
fn reduced(pixels: &[u8], width: usize) -> Vec<u8> {
    let scale = SCALE as usize;
    let fine = 3 * width * scale;
    let area = (SCALE * SCALE) as u16;
    let mut small = Vec::with_capacity(pixels.len() / (scale * scale));
    let mut sums = vec![0_u16; fine];
    for rows in pixels.chunks_exact(fine * scale) {
        sums.fill(0);
        for row in rows.chunks_exact(fine) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += u16::from(*value);
            }
        }
        for square in sums.chunks_exact(3 * scale) {
            let channel = |channel: usize| square.iter().skip(channel).step_by(3).sum::<u16>();
            small.extend([0, 1, 2].map(|place| ((channel(place) + area / 2) / area) as u8));
        }
    }
    small
}
