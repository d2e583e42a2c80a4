//! A scene as PNG that stands alone in a slide or a paper.
//!
//! Drawn at twice the scene's size on white. The same scene gives the same bytes on every host: no system font,
//! no CPU-dependent path.

use isomark_core::Error;
use tiny_skia::{FillRule, LineCap, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, StrokeDash, Transform};

use super::letters;
use super::scene::{Anchor, Ink, Item, Mark, SERIES, Scene};

/// Pixels of the picture per pixel of the scene.
const ZOOM: f32 = 2.0;

/// Most pixels of a picture: a run of thousands of cells gets a smaller picture, and not one that fills the memory.
const PIXELS: f32 = 32e6;

/// Colours of runtimes on white: the plain process in grey, then Okabe & Ito's, darkened where white needs it.
const RUNTIMES: [u32; SERIES] =
    [0x5c_6773, 0x00_72b2, 0xd5_5e00, 0x00_8f68, 0xb8_5c92, 0x8c_6d00, 0x3c_92c8, 0x6f_4a9c];
/// Colours of phases on white, from the same set.
const PHASES: [u32; SERIES] =
    [0x56_b4e9, 0x00_72b2, 0x8a_94a0, 0xe6_9f00, 0xcc_79a7, 0x00_9e73, 0xd5_5e00, 0x5c_6773];
/// Words on top of a phase's colour.
const ON_PHASES: [u32; SERIES] = [0, 0xff_ffff, 0, 0, 0, 0xff_ffff, 0xff_ffff, 0xff_ffff];

const fn colour(ink: Ink) -> u32 {
    match ink {
        Ink::Text => 0x1a_2027,
        Ink::Muted => 0x59_6470,
        Ink::Grid => 0xe3_e7ec,
        Ink::Axis => 0x7b_8794,
        Ink::Band => 0xd9_eadf,
        Ink::Paper => 0xff_ffff,
        Ink::Runtime(at) => RUNTIMES[at % SERIES],
        Ink::Phase(at) => PHASES[at % SERIES],
        Ink::OnPhase(at) => ON_PHASES[at % SERIES],
        Ink::Worse => 0xe0_6a12,
        Ink::Better => 0x1f_7fc0,
    }
}

/// The scene as a PNG file.
///
/// # Errors
/// If the scene has no size that a picture can have, or encoding fails.
pub fn png(scene: &Scene) -> Result<Vec<u8>, Error> {
    let (width, height, zoom) = fitted(scene.width as f32, scene.height as f32);
    let map = Pixmap::new(width, height);
    let mut map = map.ok_or_else(|| Error::Input(format!("a chart cannot be {width} by {height} pixels")))?;
    map.fill(tiny_skia::Color::WHITE);
    for item in &scene.items {
        draw(&mut map, item, zoom);
    }
    // The background is opaque, so every pixel is, and alpha can go.
    let rgb: Vec<u8> = map.pixels().iter().flat_map(|p| [p.red(), p.green(), p.blue()]).collect();
    encode(&rgb, width, height).map_err(|e| Error::os("encode a PNG", std::io::Error::other(e)))
}

/// Width and height of a scene's picture in pixels, and pixels of it per pixel of the scene.
fn fitted(width: f32, height: f32) -> (u32, u32, f32) {
    let zoom = ZOOM.min((PIXELS / (width * height)).sqrt());
    ((width * zoom).ceil() as u32, (height * zoom).ceil() as u32, zoom)
}

fn encode(rgb: &[u8], width: u32, height: u32) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgb)?;
    writer.finish()?;
    Ok(bytes)
}

fn draw(map: &mut Pixmap, item: &Item, zoom: f32) {
    let [_, red, green, blue] = colour(item.ink).to_be_bytes();
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color_rgba8(red, green, blue, (item.alpha * 255.0).round() as u8);
    let zoom = Transform::from_scale(zoom, zoom);
    match &item.mark {
        Mark::Line { ends: [x1, y1, x2, y2], width, dashed } => {
            stroke(map, &paint, &[(*x1, *y1), (*x2, *y2)], (*width, dashed.then_some([3.0, 3.0])), zoom);
        }
        Mark::Curve { through, width, dashed } => {
            stroke(map, &paint, through, (*width, dashed.then_some([5.0, 4.0])), zoom);
        }
        Mark::Text { at, turn, .. } if *turn != 0.0 => {
            let turned = Transform::from_rotate_at(*turn as f32, at.0 as f32, at.1 as f32);
            if let Some(path) = filled(&item.mark) {
                map.fill_path(&path, &paint, FillRule::Winding, turned.post_concat(zoom), None);
            }
        }
        Mark::Dots { at, radius } => {
            // One by one: dots that overlap must look denser where they do, as in the page.
            let dots =
                at.iter().filter_map(|(x, y)| PathBuilder::from_circle(*x as f32, *y as f32, *radius as f32));
            for dot in dots {
                map.fill_path(&dot, &paint, FillRule::Winding, zoom, None);
            }
        }
        other => {
            if let Some(path) = filled(other) {
                map.fill_path(&path, &paint, FillRule::Winding, zoom, None);
            }
        }
    }
}

fn stroke(
    map: &mut Pixmap,
    paint: &Paint<'_>,
    through: &[(f64, f64)],
    (width, dashes): (f64, Option<[f32; 2]>),
    zoom: Transform,
) {
    let dash = dashes.and_then(|dashes| StrokeDash::new(dashes.to_vec(), 0.0));
    let stroke = Stroke { width: width as f32, line_cap: LineCap::Butt, dash, ..Stroke::default() };
    if let Some(path) = path(through).finish() {
        map.stroke_path(&path, paint, &stroke, zoom, None);
    }
}

fn path(through: &[(f64, f64)]) -> PathBuilder {
    let mut path = PathBuilder::new();
    for (at, (x, y)) in through.iter().enumerate() {
        let (x, y) = (*x as f32, *y as f32);
        if at == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
    }
    path
}

fn filled(mark: &Mark) -> Option<Path> {
    match mark {
        Mark::Rect { area: [x, y, w, h], round } => {
            rounded([*x, *y, *w, *h].map(|v| v as f32), *round as f32)
        }
        Mark::Polygon { corners } => {
            let mut path = path(corners);
            path.close();
            path.finish()
        }
        Mark::Text { at, words, size, weight, anchor, .. } => {
            let back = match anchor {
                Anchor::Start => 0.0,
                Anchor::Middle => 0.5,
                Anchor::End => 1.0,
            };
            let x = at.0 - back * letters::width(words, *size, *weight);
            letters::outline(words, (x, at.1), *size, *weight)
        }
        Mark::Line { .. } | Mark::Curve { .. } | Mark::Dots { .. } => None,
    }
}

fn rounded([x, y, w, h]: [f32; 4], round: f32) -> Option<Path> {
    let round = round.min(w / 2.0).min(h / 2.0);
    if round <= 0.0 {
        return Rect::from_xywh(x, y, w, h).map(PathBuilder::from_rect);
    }
    let (right, bottom) = (x + w, y + h);
    let mut path = PathBuilder::new();
    path.move_to(x + round, y);
    path.line_to(right - round, y);
    path.quad_to(right, y, right, y + round);
    path.line_to(right, bottom - round);
    path.quad_to(right, bottom, right - round, bottom);
    path.line_to(x + round, bottom);
    path.quad_to(x, bottom, x, bottom - round);
    path.line_to(x, y + round);
    path.quad_to(x, y, x + round, y);
    path.close();
    path.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_thousands_of_cells_fits_into_memory() {
        assert_eq!(fitted(900.0, 400.0), (1800, 800, ZOOM));
        for height in [1e4, 1e5, 1e6, 1e7] {
            let (width, height, zoom) = fitted(900.0, height);
            assert!(
                width > 0 && zoom > 0.0 && f64::from(width) * f64::from(height) < 34e6,
                "{width} {height}"
            );
        }
    }
}
