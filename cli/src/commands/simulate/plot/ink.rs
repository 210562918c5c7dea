//! Colours, letters and lines of the plots. The colours are Okabe and Ito's, which people tell
//! apart however they see colours.

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Two axes of numbers.
pub(super) type Plane = Cartesian2d<RangedCoordf64, RangedCoordf64>;

/// A part of the picture.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub(super) const INK: RGBColor = RGBColor(0x22, 0x2b, 0x33);
pub(super) const FAINT: RGBColor = RGBColor(0x5f, 0x6b, 0x76);
pub(super) const AXIS: RGBColor = RGBColor(0x9a, 0xa5, 0xae);
pub(super) const SHADE: RGBColor = RGBColor(0xf4, 0xf6, 0xf7);
pub(super) const GRID: RGBColor = RGBColor(0xe6, 0xea, 0xed);
pub(super) const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
pub(super) const GREEN: RGBColor = RGBColor(0x00, 0x9e, 0x73);
/// What must not be overlooked.
pub(super) const RED: RGBColor = RGBColor(0xb3, 0x1b, 0x1b);

/// From one observer to all of them.
pub(super) const SUSPECT: (RGBColor, RGBColor) =
    (RGBColor(0xfb, 0xdf, 0xa3), RGBColor(0xb9, 0x6a, 0x00));
pub(super) const FAILED: (RGBColor, RGBColor) =
    (RGBColor(0xb5, 0xd9, 0xee), RGBColor(0x00, 0x3f, 0x69));
pub(super) const FORGOTTEN: (RGBColor, RGBColor) =
    (RGBColor(0xec, 0xcf, 0xdf), RGBColor(0x9c, 0x3f, 0x73));

/// Left of every vertical axis, so that they stand above each other.
pub(super) const LEFT: i32 = 84;
/// Right of every panel.
pub(super) const RIGHT: i32 = 20;

/// Sizes of letters, in pixels.
pub(super) const TITLE: f64 = 22.0;
pub(super) const HEADING: f64 = 15.0;
pub(super) const BODY: f64 = 12.5;
pub(super) const SMALL: f64 = 11.0;

/// The library takes a font's height for its size.
const HEIGHT_PER_SIZE: f64 = 1.24;
/// The width of a letter for its size, on average, rather too wide than too narrow.
const WIDTH_PER_SIZE: f64 = 0.58;

/// Letters of that size and colour, which begin at their place.
pub(super) fn letters(size: f64, colour: RGBColor) -> TextStyle<'static> {
    style(FontStyle::Normal, size, colour)
}

/// The same in bold.
pub(super) fn bold(size: f64, colour: RGBColor) -> TextStyle<'static> {
    style(FontStyle::Bold, size, colour)
}

fn style(style: FontStyle, size: f64, colour: RGBColor) -> TextStyle<'static> {
    let font = FontDesc::new(FontFamily::SansSerif, size * HEIGHT_PER_SIZE, style);
    TextStyle {
        font,
        color: colour.to_backend_color(),
        pos: Pos::new(HPos::Left, VPos::Center),
    }
}

/// The same letters, which end at their place.
pub(super) fn ending<'a>(style: &TextStyle<'a>) -> TextStyle<'a> {
    style.pos(Pos::new(HPos::Right, VPos::Center))
}

/// The same letters, around their place.
pub(super) fn centred<'a>(style: &TextStyle<'a>) -> TextStyle<'a> {
    style.pos(Pos::new(HPos::Center, VPos::Center))
}

/// How wide a text is, in pixels, roughly.
pub(super) fn width(text: &str, size: f64) -> i32 {
    (text.chars().count() as f64 * size * WIDTH_PER_SIZE).ceil() as i32
}

/// The text, or as much of it as there is room for.
pub(super) fn fitted(text: &str, size: f64, room: i32) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let fit = (f64::from(room.max(0)) / (size * WIDTH_PER_SIZE)) as usize;
    let kept: String = text.chars().take(fit.saturating_sub(1)).collect();
    kept.trim_end().to_owned() + "…"
}

/// A colour between two, `share` of the way.
pub(super) fn between((from, to): (RGBColor, RGBColor), share: f64) -> RGBColor {
    let mix = |from: u8, to: u8| {
        (f64::from(from) + (f64::from(to) - f64::from(from)) * share).round() as u8
    };
    RGBColor(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

/// A panel's heading, and under it what it shows.
pub(super) fn heading(area: &Area<'_>, left: i32, title: &str, words: &str) -> anyhow::Result<()> {
    let room = area.dim_in_pixel().0 as i32 - left;
    area.draw_text(title, &bold(HEADING, INK), (left, 12))?;
    area.draw_text(
        &fitted(words, BODY, room),
        &letters(BODY, FAINT),
        (left, 31),
    )?;
    Ok(())
}

/// Words where there is nothing to draw.
pub(super) fn nothing(area: &Area<'_>, words: &str) -> anyhow::Result<()> {
    let (width, height) = area.dim_in_pixel();
    let middle = (width as i32 / 2, height as i32 / 2);
    Ok(area.draw_text(words, &centred(&letters(BODY, FAINT)), middle)?)
}
