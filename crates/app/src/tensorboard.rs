//! Event files for TensorBoard: numbers by step.
//!
//! A file is a row of TFRecords (length, its checksum, content, its checksum)
//! whose contents are protocol buffers of the message `tensorflow.Event`; of its
//! fields five are needed here. (The crate `tensorboard-rs` would bring 36 packages
//! for them, among them `image` 0.23 and `protobuf` 2.)

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    process,
    time::{SystemTime, UNIX_EPOCH},
};

/// An event file that grows step by step.
pub(crate) struct EventFile {
    file: File,
}

impl EventFile {
    /// Starts a file in a folder. A run that goes on says with which step, so
    /// that TensorBoard drops what an earlier file has from there on.
    pub fn create(folder: &Path, resumed_at: Option<u64>) -> io::Result<Self> {
        let now = now();
        let name = format!("events.out.tfevents.{:010}.vico.{}.0", now as u64, process::id());
        let mut file = File::create(folder.join(name))?;
        file.write_all(&record(&event(now, 0, &version())))?;
        if let Some(step) = resumed_at {
            file.write_all(&record(&event(now, step, &session_start())))?;
        }
        Ok(Self { file })
    }

    /// Adds the numbers of a step.
    pub fn scalars(&mut self, step: u64, values: &[(&str, f64)]) -> io::Result<()> {
        self.file.write_all(&record(&event(now(), step, &summary(values))))
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// `Event { wall_time = 1, step = 2, .. }`.
fn event(wall_time: f64, step: u64, content: &[u8]) -> Vec<u8> {
    let mut out = vec![key(1, FIXED64)];
    out.extend(wall_time.to_le_bytes());
    if step > 0 {
        out.push(key(2, VARINT));
        varint(step, &mut out);
    }
    out.extend(content);
    out
}

/// `file_version = 3`.
fn version() -> Vec<u8> {
    bytes(3, b"brain.Event:2")
}

/// `session_log = 7`: `SessionLog { status = 1: START }`.
fn session_start() -> Vec<u8> {
    bytes(7, &[key(1, VARINT), 1])
}

/// `summary = 5`: `Summary { value = 1: Value { tag = 1, simple_value = 2 } }`.
fn summary(values: &[(&str, f64)]) -> Vec<u8> {
    let value = |(tag, number): &(&str, f64)| {
        let mut value = bytes(1, tag.as_bytes());
        value.push(key(2, FIXED32));
        value.extend((*number as f32).to_le_bytes());
        bytes(1, &value)
    };
    bytes(5, &values.iter().flat_map(value).collect::<Vec<u8>>())
}

/// Kinds of fields in a protocol buffer.
const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;
const FIXED32: u8 = 5;

/// What stands before a field with a number up to 15.
fn key(number: u8, kind: u8) -> u8 {
    number << 3 | kind
}

fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![key(number, BYTES)];
    varint(content.len() as u64, &mut out);
    out.extend(content);
    out
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn record(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    let (before, behind) = (masked(&length).to_le_bytes(), masked(content).to_le_bytes());
    [&length[..], &before, content, &behind].concat()
}

/// TFRecord's checksum: CRC-32C, turned and moved, so that a checksum of
/// checksums stays one.
fn masked(content: &[u8]) -> u32 {
    crc32c(content).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), bit by bit: an event has a hundred bytes.
fn crc32c(content: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !content.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn events_are_the_bytes_that_tensorboard_writes() {
        let theirs =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tensorboard/events");
        let at = |step: u64| 1_700_000_000.5 + step as f64;
        let events = [
            event(at(0), 0, &version()),
            event(at(1), 1, &summary(&[("loss", 0.25), ("regulariser", 1e-3)])),
            event(at(300), 300, &summary(&[("loss", 0.125), ("regulariser", 2e-3)])),
            event(at(500), 200, &session_start()),
        ];
        let ours: Vec<u8> = events.iter().flat_map(|event| record(event)).collect();
        assert_eq!(ours, std::fs::read(theirs).unwrap());
    }
}
