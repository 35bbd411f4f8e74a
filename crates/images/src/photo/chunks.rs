//! The chunks of PNG and WebP files: whether all are there, and whether they hold what the decoders
//! take on trust.

/// The name of a chunk and its data.
pub(crate) type Chunk<'a> = ([u8; 4], &'a [u8]);

/// The chunks of a PNG in order, as far as they are whole; their checksums are not looked at. Each
/// is a big-endian length, the name, the data and a checksum (PNG, section 5.3).
pub(crate) fn png(file: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = file.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let (name, behind) = behind.split_first_chunk::<4>()?;
        let (data, behind) = behind.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        rest = behind.split_first_chunk::<4>()?.1;
        Some((*name, data))
    })
}

/// The chunks of a WebP in order, as far as they are whole.
pub(crate) fn webp(file: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    riff(file.get(12..webp_length(file)).unwrap_or_default())
}

/// Each chunk is the name, a little-endian length and the data, padded to an even length (RIFF).
fn riff(chunks: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = chunks;
    std::iter::from_fn(move || {
        let (name, behind) = rest.split_first_chunk::<4>()?;
        let (length, behind) = behind.split_first_chunk::<4>()?;
        let (data, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = behind.get(data.len() % 2..).unwrap_or_default();
        Some((*name, data))
    })
}

/// The length of the whole file that the head of a WebP promises.
fn webp_length(file: &[u8]) -> usize {
    let length = file.get(4..).and_then(|behind| behind.first_chunk::<4>());
    length.map_or(usize::MAX, |&length| (u32::from_le_bytes(length) as usize).saturating_add(8))
}

/// Whether a PNG goes on to its end chunk.
pub(crate) fn png_is_complete(file: &[u8]) -> bool {
    png(file).any(|(name, _)| &name == b"IEND")
}

/// Whether a WebP is as long as it says, and no chunk longer than what remains.
pub(crate) fn webp_is_complete(file: &[u8]) -> bool {
    let length = webp_length(file);
    let chunks = webp(file).map(|(_, data)| 8 + data.len().next_multiple_of(2)).sum::<usize>();
    // The padding of the last chunk is sometimes left out.
    length <= file.len() && (12 + chunks).abs_diff(length) <= 1
}

/// What makes png 0.18.1 panic (image-png issue 694): a palette that is not made of whole colours.
pub(crate) fn png_fault(file: &[u8]) -> Option<&'static str> {
    let broken = |(name, data): Chunk| &name == b"PLTE" && data.len() % 3 != 0;
    png(file).any(broken).then_some("its palette ends in the middle of a colour")
}

/// What makes image-webp 0.2.4 panic (image-webp issue 182): the first frame of an animation has
/// transparency of one size and colours of another.
pub(crate) fn webp_fault(file: &[u8]) -> Option<&'static str> {
    let (_, frame) = webp(file).find(|(name, _)| name == b"ANMF")?;
    let (head, rest) = frame.split_first_chunk::<16>()?;
    let mut chunks = riff(rest);
    let transparent = chunks.next().is_some_and(|(name, _)| &name == b"ALPH");
    let fits = chunks.next().and_then(|(_, colours)| vp8_size(colours)) == Some(frame_size(head));
    (transparent && !fits).then_some("its transparency and its colours differ in size")
}

/// The width and height in the head of an animation's frame: 24 bits each, less one.
fn frame_size(head: &[u8; 16]) -> (u32, u32) {
    let [.., w0, w1, w2, h0, h1, h2, _, _, _, _] = *head;
    (u32::from_le_bytes([w0, w1, w2, 0]) + 1, u32::from_le_bytes([h0, h1, h2, 0]) + 1)
}

/// The width and height in the head of VP8 data (RFC 6386, section 9.1): 14 bits each.
fn vp8_size(data: &[u8]) -> Option<(u32, u32)> {
    let &[w0, w1, h0, h1] = data.get(6..)?.first_chunk()?;
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    Some((side(w0, w1), side(h0, h1)))
}
