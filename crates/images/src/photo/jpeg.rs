//! Whether a JPEG is complete.

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;

/// Whether the file goes on to the end-of-image marker.
///
/// The decoder fills what is missing of a JPEG that was cut short with grey and reports nothing,
/// so this is found out beforehand, by going from marker to marker (ITU-T T.81, annex B). The end
/// of the thumbnail inside the EXIF segment is not taken for the end of the photo: segments are
/// jumped over as a whole.
pub(crate) fn is_complete(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some((marker, after)) = next_marker(rest) {
        rest = match marker {
            EOI => return true,
            SOI => after,
            _ => match segment_length(after).and_then(|length| after.get(length..)) {
                Some(behind) => behind,
                None => return false,
            },
        };
    }
    false
}

/// The next marker that stands alone or opens a segment, and the bytes behind it. Passed over on
/// the way are the coded data of a scan, in which 0xff is followed by 0 or by a restart marker.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let mut pairs = bytes.windows(2).enumerate();
    let (at, pair) = pairs.find(|(_, pair)| {
        pair[0] == 0xff && !matches!(pair[1], 0x00 | 0x01 | 0xd0..=0xd7 | 0xff)
    })?;
    Some((pair[1], &bytes[at + 2..]))
}

/// The length of a segment, which counts its own two bytes.
fn segment_length(bytes: &[u8]) -> Option<usize> {
    let length = bytes.first_chunk::<2>().map(|&length| usize::from(u16::from_be_bytes(length)))?;
    (length >= 2).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An EXIF segment with a whole thumbnail in it, a scan with a stuffed 0xff and a restart
    /// marker, and the end.
    const WHOLE: &[u8] = b"\xff\xd8\
        \xff\xe1\x00\x08\xff\xd8\xff\xd9.x\
        \xff\xda\x00\x03\x00ab\xff\x00cd\xff\xd3ef\
        \xff\xd9";

    #[test]
    fn only_the_end_of_the_photo_itself_completes_it() {
        assert!(is_complete(WHOLE));
        for length in 0..WHOLE.len() {
            assert!(!is_complete(&WHOLE[..length]), "complete after {length} bytes");
        }
    }

    #[test]
    fn bytes_behind_the_end_do_not_matter() {
        assert!(is_complete(&[WHOLE, b"a second picture, \xff\xd8"].concat()));
    }
}
