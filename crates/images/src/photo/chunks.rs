//! The chunks of PNG and WebP files: whether the last is there, and what EXIF data they hold.

/// The chunks of a PNG (kind, data) in order, as far as they are whole; their checksums are not
/// looked at. Each is a big-endian length, the kind, the data and a checksum (PNG, section 5.3).
pub(crate) fn png(file: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = file.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let (kind, behind) = behind.split_first_chunk::<4>()?;
        let (data, behind) = behind.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        rest = behind.split_first_chunk::<4>()?.1;
        Some((*kind, data))
    })
}

/// The chunks of a WebP (kind, data) in order, as far as they are whole. Each is the kind, a
/// little-endian length and the data, padded to an even length (RIFF).
pub(crate) fn webp(file: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = file.get(12..webp_length(file)).unwrap_or_default();
    std::iter::from_fn(move || {
        let (kind, behind) = rest.split_first_chunk::<4>()?;
        let (length, behind) = behind.split_first_chunk::<4>()?;
        let (data, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = behind.get(data.len() % 2..).unwrap_or_default();
        Some((*kind, data))
    })
}

/// The length of the whole file that the first lines of a WebP promise.
fn webp_length(file: &[u8]) -> usize {
    let length = file.get(4..).and_then(|behind| behind.first_chunk::<4>());
    length.map_or(usize::MAX, |&length| (u32::from_le_bytes(length) as usize).saturating_add(8))
}

/// Whether a PNG goes on to its end chunk.
pub(crate) fn png_is_complete(file: &[u8]) -> bool {
    png(file).any(|(kind, _)| &kind == b"IEND")
}

/// Whether a WebP is as long as it says, and no chunk longer than what remains.
pub(crate) fn webp_is_complete(file: &[u8]) -> bool {
    let length = webp_length(file);
    let chunks = webp(file).map(|(_, data)| 8 + data.len().next_multiple_of(2)).sum::<usize>();
    // The padding of the last chunk is sometimes left out.
    length <= file.len() && (12 + chunks).abs_diff(length) <= 1
}
