//! The bytes of a pickle, taken from the front with every length checked.

use super::MAX_PICKLE;
use crate::error::Fault;

type Result<T> = std::result::Result<T, Fault>;

/// A pickle and how far it has been read.
pub(crate) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    /// Starts at the first of `bytes`, and never reads more than [`MAX_PICKLE`] of them.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: &bytes[..bytes.len().min(MAX_PICKLE)], at: 0 }
    }

    /// How many bytes have been taken.
    pub fn position(&self) -> usize {
        self.at
    }

    pub fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        match self.bytes[self.at..].get(..length) {
            Some(taken) => {
                self.at += length;
                Ok(taken)
            }
            None if self.bytes.len() == MAX_PICKLE => Fault::unsupported(format!(
                "its pickle is longer than {MAX_PICKLE} bytes; save the weights alone"
            )),
            None => Fault::malformed("its pickle ends too early, as if the file were truncated"),
        }
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub fn byte(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    /// A number of `width` bytes. One beyond the address space is beyond the file as well.
    pub fn unsigned(&mut self, width: usize) -> Result<usize> {
        let mut number = [0; 8];
        number[..width].copy_from_slice(self.take(width)?);
        Ok(usize::try_from(u64::from_le_bytes(number)).unwrap_or(usize::MAX))
    }

    /// Bytes behind a length of `width` bytes.
    pub fn prefixed(&mut self, width: usize) -> Result<&'a [u8]> {
        let length = self.unsigned(width)?;
        self.take(length)
    }

    /// A line of text, without its end.
    pub fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = self.take(length)?;
        self.take(1)?;
        utf8(line)
    }

    /// UTF-8 text behind a length of `width` bytes.
    pub fn text(&mut self, width: usize) -> Result<&'a str> {
        utf8(self.prefixed(width)?)
    }
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    str::from_utf8(bytes).or_else(|_| Fault::malformed("its pickle has a text that is no UTF-8"))
}
