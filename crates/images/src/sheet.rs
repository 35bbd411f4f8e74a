//! Many pictures on one.

use crate::Picture;
use crate::label::{CHARACTER, label};

const WHITE: [u8; 3] = [255; 3];

/// The least number of characters a line of a label has room for, however small the pictures are.
const LABEL: usize = 32;

/// Lays pictures out on a white sheet, row by row, each in the middle of its cell.
///
/// All cells are as large as the widest and the tallest picture; `gap` is the white space in pixels
/// between cells and around them. Without `columns` the sheet is as nearly square as the cells
/// allow.
///
/// # Panics
///
/// If there are no pictures, or `columns` is zero.
#[must_use]
pub fn contact_sheet(pictures: &[Picture], columns: Option<usize>, gap: usize) -> Picture {
    let cell = Cell::of(pictures.iter(), gap);
    let columns = columns.unwrap_or_else(|| square(pictures.len(), &cell));
    assert!(columns > 0, "a sheet of no columns");
    let columns = columns.min(pictures.len());

    let rows: Vec<_> = pictures.chunks(columns).collect();
    let mut sheet = Picture::filled(cell.across(columns), cell.down(rows.len()), WHITE);
    for (index, row) in rows.into_iter().enumerate() {
        cell.paste_row(row, &mut sheet, cell.down(index));
    }
    sheet
}

/// Lays pictures out as [`contact_sheet`] does, in the rows given, each under its label.
///
/// A label is black, broken into lines as wide as the sheet, in a font with the Latin letters of
/// Europe; other characters are drawn as the replacement character. An empty label takes no room.
///
/// # Panics
///
/// If no row has a picture.
#[must_use]
pub fn labelled_sheet(rows: &[(String, Vec<Picture>)], gap: usize) -> Picture {
    let cell = Cell::of(rows.iter().flat_map(|(_, pictures)| pictures), gap);
    let columns = rows.iter().map(|(_, pictures)| pictures.len()).max().unwrap_or_default();
    let width = cell.across(columns).max(LABEL * CHARACTER + 2 * gap);
    let drawn = |text: &str| (!text.is_empty()).then(|| label(text, width - 2 * gap));
    let labels: Vec<_> = rows.iter().map(|(text, _)| drawn(text)).collect();

    let label_heights = labels.iter().flatten().map(|label| label.height() + gap);
    let height = cell.down(rows.len()) + label_heights.sum::<usize>();
    let mut sheet = Picture::filled(width, height, WHITE);
    let mut top = gap;
    for (label, (_, pictures)) in labels.iter().zip(rows) {
        if let Some(label) = label {
            sheet.paste(label, gap, top);
            top += label.height() + gap;
        }
        cell.paste_row(pictures, &mut sheet, top);
        top += cell.height + gap;
    }
    sheet
}

/// The room for one picture, and the gap around it.
struct Cell {
    width: usize,
    height: usize,
    gap: usize,
}

impl Cell {
    /// The cell that has room for each of the pictures.
    fn of<'a>(pictures: impl Iterator<Item = &'a Picture> + Clone, gap: usize) -> Self {
        let width = pictures.clone().map(Picture::width).max();
        let height = pictures.map(Picture::height).max();
        let (width, height) = width.zip(height).expect("a sheet of at least one picture");
        Self { width, height, gap }
    }

    /// The left edge of the column `columns`, or the width of as many.
    fn across(&self, columns: usize) -> usize {
        self.gap + columns * (self.width + self.gap)
    }

    /// The top edge of the row `rows`, or the height of as many.
    fn down(&self, rows: usize) -> usize {
        self.gap + rows * (self.height + self.gap)
    }

    fn paste_row(&self, pictures: &[Picture], sheet: &mut Picture, top: usize) {
        for (column, picture) in pictures.iter().enumerate() {
            let x = self.across(column) + (self.width - picture.width()) / 2;
            let y = top + (self.height - picture.height()) / 2;
            sheet.paste(picture, x, y);
        }
    }
}

/// The number of columns that brings a sheet of cells nearest to a square, the larger of two.
fn square(cells: usize, cell: &Cell) -> usize {
    let elongation = |columns: usize| {
        let (a, b) = (cell.across(columns), cell.down(cells.div_ceil(columns)));
        a.max(b) as f64 / a.min(b) as f64
    };
    let nearer = |&a: &usize, &b: &usize| elongation(a).total_cmp(&elongation(b));
    (1..=cells).rev().min_by(nearer).expect("at least one cell")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sheets_are_nearly_square() {
        let columns = |cells| square(cells, &Cell { width: 64, height: 64, gap: 4 });
        assert_eq!([1, 2, 4, 5, 9, 16, 20].map(columns), [1, 2, 2, 3, 3, 4, 5]);
        let wide = Cell { width: 300, height: 100, gap: 0 };
        assert_eq!(square(4, &wide), 1, "wide pictures one below the other");
    }

    #[test]
    fn pictures_stand_in_rows_with_gaps_and_padding() {
        let small = Picture::filled(2, 1, [10, 0, 0]);
        let large = Picture::filled(4, 3, [20, 0, 0]);
        let sheet = contact_sheet(&[small, large.clone(), large], Some(2), 1);
        assert_eq!((sheet.width(), sheet.height()), (1 + 5 + 5, 1 + 4 + 4));
        assert_eq!(sheet.pixel(1, 1), WHITE, "padding of the small one");
        assert_eq!(sheet.pixel(2, 2), [10, 0, 0]);
        assert_eq!(sheet.pixel(5, 2), WHITE, "gap");
        assert_eq!(sheet.pixel(6, 1), [20, 0, 0]);
        assert_eq!(sheet.pixel(1, 5), [20, 0, 0]);
        assert_eq!(sheet.pixel(10, 8), WHITE, "the cell left over");
    }

    #[test]
    fn one_picture_without_gap_is_itself() {
        let picture = Picture::filled(5, 7, [1, 2, 3]);
        assert_eq!(contact_sheet(std::slice::from_ref(&picture), None, 0), picture);
    }

    #[test]
    fn rows_stand_under_their_labels() {
        let picture = Picture::filled(300, 10, [1, 2, 3]);
        let rows = [("above", vec![picture.clone(), picture.clone()]), ("", vec![picture])];
        let rows = rows.map(|(text, pictures)| (text.to_owned(), pictures));
        let sheet = labelled_sheet(&rows, 2);
        let above = label("above", 602);
        assert_eq!((sheet.width(), sheet.height()), (606, 2 + above.height() + 2 + 12 + 12));
        let top = 2 + above.height() + 2;
        for (x, y) in [(2, top), (304, top), (2, top + 12)] {
            assert_eq!(sheet.pixel(x, y), [1, 2, 3], "at ({x}, {y})");
        }
        let dark = |y| (0..606).any(|x| sheet.pixel(x, y)[0] < 100);
        assert!((0..top).any(dark), "the label is drawn");
        assert!(!dark(top - 1), "and leaves a gap");
    }

    #[test]
    fn small_pictures_leave_room_for_a_label() {
        let rows = [("twenty letters & more".to_owned(), vec![Picture::filled(8, 8, [0; 3])])];
        let sheet = labelled_sheet(&rows, 4);
        assert_eq!(sheet.width(), LABEL * CHARACTER + 8);
    }
}
