//! Lines of text, drawn.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use crate::Picture;

const SIZE: RasterHeight = RasterHeight::Size20;
const WEIGHT: FontWeight = FontWeight::Regular;

/// The width of every character, in pixels.
pub(crate) const CHARACTER: usize = get_raster_width(WEIGHT, SIZE);

/// The height of a line, in pixels.
const LINE: usize = SIZE.val() + 4;

/// A text in black on white, broken into lines that fit into `width` pixels, as high as it needs.
///
/// The font is Noto Sans Mono. It has the Latin letters of Europe; a character that it lacks is
/// drawn as the replacement character.
pub(crate) fn label(text: &str, width: usize) -> Picture {
    let lines = broken(text, (width / CHARACTER).max(1));
    let mut picture = Picture::filled(width.max(CHARACTER), lines.len().max(1) * LINE, [255; 3]);
    for (line, text) in lines.iter().enumerate() {
        for (column, character) in text.chars().enumerate() {
            picture.paste(&drawn(character), column * CHARACTER, line * LINE);
        }
    }
    picture
}

/// The words of a text in lines of at most `length` characters. A longer word is cut.
fn broken(text: &str, length: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let characters: Vec<char> = word.chars().collect();
        for piece in characters.chunks(length) {
            match lines.last_mut() {
                Some(line) if line.chars().count() + 1 + piece.len() <= length => {
                    line.push(' ');
                    line.extend(piece);
                }
                _ => lines.push(piece.iter().collect()),
            }
        }
    }
    lines
}

fn drawn(character: char) -> Picture {
    let raster = get_raster(character, WEIGHT, SIZE)
        .or_else(|| get_raster(char::REPLACEMENT_CHARACTER, WEIGHT, SIZE))
        .expect("the font has the replacement character");
    let ink = raster.rows().flatten().flat_map(|&ink| [255 - ink; 3]).collect();
    Picture::from_rgb(raster.width(), raster.height(), ink)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_broken_into_lines_and_long_ones_cut() {
        let lines = broken("  a photo of \n a very-long-word on it", 8);
        assert_eq!(lines, ["a photo", "of a", "very-lon", "g-word", "on it"]);
        assert!(broken(" ", 8).is_empty());
    }

    #[test]
    fn letters_are_told_apart_and_what_is_missing_is_marked() {
        let [a, b, missing, other] = ["a", "b", "猫", "\u{7}"].map(|text| label(text, CHARACTER));
        assert!(a != b && missing != a);
        assert!(missing == other);
        assert!(label("é", CHARACTER) != missing);
    }

    #[test]
    fn the_picture_is_as_high_as_its_lines() {
        let picture = label("one two three", 5 * CHARACTER);
        assert_eq!((picture.width(), picture.height()), (5 * CHARACTER, 3 * LINE));
    }
}
