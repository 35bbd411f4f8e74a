//! Many pictures on one.

use crate::Picture;

const WHITE: [u8; 3] = [255; 3];

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
    let width = pictures.iter().map(Picture::width).max().expect("a sheet of at least one picture");
    let height = pictures.iter().map(Picture::height).max().expect("at least one picture");
    let columns = columns.unwrap_or_else(|| square(pictures.len(), width + gap, height + gap));
    assert!(columns > 0, "a sheet of no columns");
    let columns = columns.min(pictures.len());
    let rows = pictures.len().div_ceil(columns);

    let along = |cells: usize, side: usize| gap + cells * (side + gap);
    let mut sheet = Picture::filled(along(columns, width), along(rows, height), WHITE);
    for (index, picture) in pictures.iter().enumerate() {
        let x = along(index % columns, width) + (width - picture.width()) / 2;
        let y = along(index / columns, height) + (height - picture.height()) / 2;
        sheet.paste(picture, x, y);
    }
    sheet
}

/// The number of columns that brings a sheet of cells nearest to a square, the larger of two.
fn square(cells: usize, width: usize, height: usize) -> usize {
    let elongation = |&columns: &usize| {
        let (a, b) = (columns * width, cells.div_ceil(columns) * height);
        a.max(b) as f64 / a.min(b) as f64
    };
    let nearer = |a: &usize, b: &usize| elongation(a).total_cmp(&elongation(b));
    (1..=cells).rev().min_by(nearer).expect("at least one cell")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sheets_are_nearly_square() {
        let columns = |cells| square(cells, 64, 64);
        assert_eq!([1, 2, 4, 5, 9, 16, 20].map(columns), [1, 2, 2, 3, 3, 4, 5]);
        assert_eq!(square(4, 300, 100), 1, "wide pictures one below the other");
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
}
