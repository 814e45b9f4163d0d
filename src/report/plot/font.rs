//! The bundled font: its registration with plotters, and widths of text from its own tables.
//!
//! plotters measures in whole pixels and drops the space to the left of each glyph, so a line of text must be laid
//! out here.

use plotters::style::{FontStyle, register_font};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// What the font is registered as. An SVG repeats it as its font family, so the nearest relatives of the font follow.
pub(super) const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";

/// Device pixels in a logical one, in both formats: PNG is reduced to one, an SVG keeps the finer coordinates.
pub(super) const SCALE: u32 = 3;

static BYTES: &[u8] = include_bytes!("font/sans.ttf");

/// Widths of the font's glyphs, in its own units.
struct Font {
    /// Ascent − descent: what a font size means to the rasteriser.
    height: f64,
    /// Units in one em: what a font size means to an SVG.
    em: f64,
    /// Advance and left bearing by character.
    glyphs: BTreeMap<char, (f64, f64)>,
    /// The same of the glyph for characters that the font does not have.
    unknown: (f64, f64),
}

fn font() -> &'static Font {
    static FONT: OnceLock<Font> = OnceLock::new();
    FONT.get_or_init(|| {
        for style in [FontStyle::Normal, FontStyle::Bold] {
            assert!(register_font(FAMILY, style, BYTES).is_ok(), "the bundled font is a font");
        }
        read(BYTES).expect("the bundled font has its tables")
    })
}

/// A font size on the device: even, because the rasteriser keeps the baseline of all glyphs only then.
pub(super) fn device_size(size: f64) -> u32 {
    let font = font();
    let exact = size * f64::from(SCALE) * font.height / font.em;
    2 * (exact / 2.0).round().clamp(1.0, 1_000.0) as u32
}

/// The em of a font of this size, device pixels.
pub(super) fn device_em(size: f64) -> f64 {
    f64::from(device_size(size)) * font().em / font().height
}

/// Where the glyphs of a text go: each character with its distance from the beginning, in whole device pixels, and
/// the width of all.
pub(super) fn layout(text: &str, size: f64) -> (Vec<(char, i32)>, f64) {
    let font = font();
    let unit = f64::from(device_size(size)) / font.height;
    let mut pen = 0.0;
    let mut glyphs = Vec::with_capacity(text.len());
    for character in text.chars() {
        let (advance, bearing) = *font.glyphs.get(&character).unwrap_or(&font.unknown);
        glyphs.push((character, (pen + (bearing * unit).floor()).round() as i32));
        pen += advance * unit;
    }
    (glyphs, pen)
}

/// The width of a text, logical pixels.
pub(super) fn width(text: &str, size: f64) -> f64 {
    layout(text, size).1 / f64::from(SCALE)
}

/// The text, or as much of it as fits with an ellipsis.
pub(super) fn fit(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut characters: Vec<char> = text.chars().collect();
    while characters.pop().is_some() {
        let shorter: String = characters.iter().collect::<String>().trim_end().to_owned() + "…";
        if width(&shorter, size) <= room {
            return shorter;
        }
    }
    String::new()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}

fn i16_at(bytes: &[u8], at: usize) -> Option<f64> {
    u16_at(bytes, at).map(|value| f64::from(value.cast_signed()))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some((usize::from(u16_at(bytes, at)?) << 16) | usize::from(u16_at(bytes, at + 2)?))
}

/// Reads the tables `head`, `hhea`, `hmtx` and `cmap` (OpenType specification 1.9).
fn read(bytes: &[u8]) -> Option<Font> {
    let table = |tag: &[u8; 4]| {
        let entries = (0..usize::from(u16_at(bytes, 4)?)).map(|entry| 12 + 16 * entry);
        let entry = entries.into_iter().find(|at| bytes.get(*at..at + 4) == Some(tag.as_slice()))?;
        bytes.get(u32_at(bytes, entry + 8)?..)
    };
    let (head, hhea, hmtx) = (table(b"head")?, table(b"hhea")?, table(b"hmtx")?);
    let long = usize::from(u16_at(hhea, 34)?);
    let metrics = |glyph: usize| {
        let advance = f64::from(u16_at(hmtx, 4 * glyph.min(long.checked_sub(1)?))?);
        let bearing = if glyph < long { 4 * glyph + 2 } else { 4 * long + 2 * (glyph - long) };
        Some((advance, i16_at(hmtx, bearing)?))
    };
    let glyphs = characters(table(b"cmap")?)?;
    let glyphs = glyphs.into_iter().filter_map(|(character, glyph)| Some((character, metrics(glyph)?))).collect();
    Some(Font {
        height: i16_at(hhea, 4)? - i16_at(hhea, 6)?,
        em: f64::from(u16_at(head, 18)?),
        glyphs,
        unknown: metrics(0)?,
    })
}

/// The glyph of each character, from the table's part in format 4.
fn characters(cmap: &[u8]) -> Option<Vec<(char, usize)>> {
    let parts = (0..usize::from(u16_at(cmap, 2)?)).filter_map(|part| cmap.get(u32_at(cmap, 8 + 8 * part)?..));
    let part = parts.into_iter().find(|part| u16_at(part, 0) == Some(4))?;
    let segments = usize::from(u16_at(part, 6)?) / 2;
    let mut found = Vec::new();
    for segment in 0..segments {
        let column = |place: usize| 14 + 2 * (segment + place * segments) + if place == 0 { 0 } else { 2 };
        let (last, first) = (u16_at(part, column(0))?, u16_at(part, column(1))?);
        let (delta, offset) = (u16_at(part, column(2))?, usize::from(u16_at(part, column(3))?));
        for code in first..=last {
            let glyph = if offset == 0 {
                code.wrapping_add(delta)
            } else {
                match u16_at(part, column(3) + offset + 2 * usize::from(code - first)).unwrap_or(0) {
                    0 => 0,
                    glyph => glyph.wrapping_add(delta),
                }
            };
            if let (Some(character), true) = (char::from_u32(u32::from(code)), glyph != 0) {
                found.push((character, usize::from(glyph)));
            }
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_every_character_that_the_pictures_use() {
        for character in "…·–−µ×%(),.0123456789abcxyzABCXYZ".chars() {
            assert!(font().glyphs.contains_key(&character), "{character}");
        }
    }

    /// DejaVu Sans: digits are all 1303 of 2048 units wide, a space 651.
    #[test]
    fn widths_are_those_of_the_font() {
        let em = device_em(12.0) / f64::from(SCALE);
        assert!((width("0123456789", 12.0) / em - 13_030.0 / 2_048.0).abs() < 1e-9);
        assert!((width("1 1", 12.0) / em - (2.0 * 1_303.0 + 651.0) / 2_048.0).abs() < 1e-9);
    }

    #[test]
    fn long_names_end_in_an_ellipsis_and_fit() {
        let name = "a-very-long-name-of-a-strategy-that-somebody-wrote-down-once";
        assert_eq!(fit(name, 12.0, 1_000.0), name);
        let short = fit(name, 12.0, 100.0);
        assert!(short.ends_with('…') && width(&short, 12.0) <= 100.0, "{short}");
        assert_eq!(fit(name, 12.0, 1.0), "");
    }
}
