//! What a file is, told from its first bytes.

/// How many of a file's first bytes [`recognise`] wants to see.
pub(crate) const HEAD: usize = 512;

/// The photo formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Jpeg,
    Png,
    WebP,
}

impl Format {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
        }
    }
}

/// What the first bytes of a file say that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// A photo in a format that is read.
    Photo(Format),
    /// A picture in a format, named here, that is not read.
    OtherPicture(&'static str),
    /// Nothing that is known to be a picture.
    Unknown,
}

/// Tells the content of a file from its first [`HEAD`] bytes.
pub(crate) fn recognise(head: &[u8]) -> Content {
    match head {
        [0xff, 0xd8, 0xff, ..] => Content::Photo(Format::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Content::Photo(Format::Png),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => {
            Content::Photo(Format::WebP)
        }
        _ => other_picture(head).map_or(Content::Unknown, Content::OtherPicture),
    }
}

fn other_picture(head: &[u8]) -> Option<&'static str> {
    const SIGNATURES: [(&[u8], &str); 11] = [
        (b"GIF87a", "GIF"),
        (b"GIF89a", "GIF"),
        (b"II*\0", "TIFF or a camera's raw format"),
        (b"MM\0*", "TIFF or a camera's raw format"),
        (b"II+\0", "TIFF (BigTIFF)"),
        (b"MM\0+", "TIFF (BigTIFF)"),
        (b"8BPS", "Photoshop (PSD)"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\xff\x0a", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"qoif", "QOI"),
    ];
    let by_signature = SIGNATURES.iter().find(|(start, _)| head.starts_with(start));
    by_signature
        .map(|&(_, name)| name)
        .or_else(|| iso_media_picture(head))
        .or_else(|| is_bmp(head).then_some("BMP"))
}

/// HEIC and AVIF are ISO base media files (ISO/IEC 14496-12): a `ftyp` box first, which lists the
/// brands that the file conforms to, the major one and then, after a version, the others.
fn iso_media_picture(head: &[u8]) -> Option<&'static str> {
    let [s0, s1, s2, s3, b'f', b't', b'y', b'p', brands @ ..] = head else { return None };
    let size = u32::from_be_bytes([*s0, *s1, *s2, *s3]) as usize;
    let end = size.saturating_sub(8).min(brands.len());
    let brands = brands[..end].as_chunks::<4>().0;
    let any = |known: &[&[u8; 4]]| brands.iter().any(|brand| known.contains(&brand));
    // AVIF first: it may well list "mif1", the brand of all such still pictures, in front.
    if any(&[b"avif", b"avis"]) {
        Some("AVIF")
    } else if any(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"]) {
        Some("HEIC")
    } else {
        any(&[b"crx "]).then_some("a camera's raw format (CR3)")
    }
}

/// "BM" alone would take every text that starts so for a picture: the length of the header that
/// follows, at byte 14, has only a few values.
fn is_bmp(head: &[u8]) -> bool {
    let length = head.get(14..18).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap()));
    head.starts_with(b"BM") && matches!(length, Some(12 | 40 | 52 | 56 | 64 | 108 | 124))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photos_are_told_by_content() {
        assert_eq!(recognise(b"\xff\xd8\xff\xe0\0\x10JFIF"), Content::Photo(Format::Jpeg));
        assert_eq!(recognise(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), Content::Photo(Format::Png));
        assert_eq!(recognise(b"RIFF\x10\0\0\0WEBPVP8 "), Content::Photo(Format::WebP));
    }

    #[test]
    fn other_pictures_are_named() {
        let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
        let avif = b"\0\0\0\x1cftypmif1\0\0\0\0mif1miafavif";
        let bmp = b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0";
        let named: [(&[u8], _); 5] = [
            (heic, "HEIC"),
            (avif, "AVIF"),
            (b"GIF89a\x01\0", "GIF"),
            (b"MM\0*\0\0\0\x08", "TIFF or a camera's raw format"),
            (bmp, "BMP"),
        ];
        for (head, name) in named {
            assert_eq!(recognise(head), Content::OtherPicture(name));
        }
    }

    #[test]
    fn films_sounds_and_texts_are_no_pictures() {
        let others: [&[u8]; 6] = [
            b"",
            b"RIFF\x10\0\0\0WAVEfmt ",
            b"\0\0\0\x14ftypisom\0\0\0\0mp42",
            b"BM is how this text starts",
            b"%PDF-1.7",
            b"\xff\xd8",
        ];
        for head in others {
            assert_eq!(recognise(head), Content::Unknown);
        }
    }
}
