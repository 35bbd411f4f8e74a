//! Writing checkpoints that `torch.load` reads.

use std::io::{self, Seek, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::names;
use super::opcodes as op;
use crate::array::Array;
use crate::atomic::replace;
use crate::error::{Error, Result};
use crate::view::row_major;

/// An object to be saved as `torch.save` would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// A tensor that owns its storage.
    Tensor(Array<'a>),
    /// A whole number.
    Int(i64),
    /// A text.
    Text(String),
    /// Python's `None`.
    None,
    /// A dictionary, in the order given.
    Dict(Vec<(String, Value<'a>)>),
    /// A `torch.nn.ParameterDict` of trainable parameters, in the order given.
    ParameterDict(Vec<(String, Array<'a>)>),
}

/// Storages start at multiples of this, as PyTorch has them.
const ALIGNMENT: u16 = 64;

/// The attributes of a module besides its tables, as PyTorch 1.10 has them: hooks, all empty.
/// Later versions add what they miss when they load one.
const HOOKS: [&str; 5] = [
    "_backward_hooks",
    "_forward_hooks",
    "_forward_pre_hooks",
    "_state_dict_hooks",
    "_load_state_dict_pre_hooks",
];

/// Writes a file for `torch.load`, replacing whatever is at `path` only once all is written.
///
/// It is a zip archive with a pickle of protocol 2, as PyTorch writes since version 1.6; the
/// same value always gives the same bytes. A `ParameterDict` loads in PyTorch 1.10, with
/// which ViCo's authors work, and in current versions.
///
/// # Errors
///
/// [`Error::WrongSize`] if an array's bytes do not match its shape, and
/// [`Error::UnsupportedDtype`] if it is of an unsigned type of more than 8 bits, for which
/// PyTorch has no storages, before anything is written; [`Error::Write`] if the operating
/// system refuses.
pub fn write_torch(path: impl AsRef<Path>, value: &Value<'_>) -> Result<()> {
    let path = path.as_ref();
    let mut pickler = Pickler { path, code: vec![op::PROTO, 2], storages: Vec::new() };
    pickler.value("", value)?;
    pickler.code.push(op::STOP);
    let Pickler { code, storages, .. } = pickler;
    replace(path, |file| write(file, &code, &storages))
}

fn write(out: impl Write + Seek, pickle: &[u8], storages: &[&[u8]]) -> io::Result<()> {
    let mut zip = ZipWriter::new(out);
    let mut entry = |name: &str, bytes: &[u8]| {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .with_alignment(ALIGNMENT)
            .large_file(u32::try_from(bytes.len()).is_err());
        zip.start_file(format!("archive/{name}"), options)?;
        zip.write_all(bytes)
    };
    entry(names::PICKLE, pickle)?;
    entry(names::BYTE_ORDER, b"little")?;
    for (key, bytes) in storages.iter().enumerate() {
        entry(&format!("{}{key}", names::DATA), bytes)?;
    }
    entry("version", b"3\n")?;
    zip.finish()?;
    Ok(())
}

struct Pickler<'a> {
    path: &'a Path,
    code: Vec<u8>,
    /// The storages by their keys, which are their positions.
    storages: Vec<&'a [u8]>,
}

impl<'a> Pickler<'a> {
    fn value(&mut self, name: &str, value: &'a Value<'_>) -> Result<()> {
        match value {
            Value::Tensor(array) => self.tensor(name, array),
            Value::Dict(entries) => self.dict(entries, |pickler, (key, value)| {
                pickler.text(key);
                pickler.value(key, value)
            }),
            Value::ParameterDict(entries) => self.parameter_dict(entries),
            Value::Int(value) => {
                self.signed(*value);
                Ok(())
            }
            Value::Text(text) => {
                self.text(text);
                Ok(())
            }
            Value::None => {
                self.code.push(op::NONE);
                Ok(())
            }
        }
    }

    fn dict<T>(
        &mut self,
        items: &'a [T],
        mut pair: impl FnMut(&mut Self, &'a T) -> Result<()>,
    ) -> Result<()> {
        self.code.extend([op::EMPTY_DICT, op::MARK]);
        items.iter().try_for_each(|item| pair(self, item))?;
        self.code.push(op::SETITEMS);
        Ok(())
    }

    /// A module with an empty shell: its tables, its hooks, and in `_keys` the order that
    /// PyTorch keeps since 1.12. Earlier versions carry that along unused.
    fn parameter_dict(&mut self, entries: &'a [(String, Array<'_>)]) -> Result<()> {
        self.global(names::PARAMETER_DICT);
        self.code.extend([op::EMPTY_TUPLE, op::NEWOBJ, op::EMPTY_DICT, op::MARK]);
        self.text("training");
        self.code.push(op::NEWTRUE);
        self.text("_parameters");
        self.ordered_dict();
        self.code.push(op::MARK);
        for (key, array) in entries {
            self.text(key);
            self.parameter(key, array)?;
        }
        self.code.push(op::SETITEMS);
        for table in ["_buffers", "_modules"].iter().chain(&HOOKS) {
            self.text(table);
            self.ordered_dict();
        }
        self.text("_non_persistent_buffers_set");
        self.global(("__builtin__", "set"));
        self.code.extend([op::EMPTY_LIST, op::TUPLE1, op::REDUCE]);
        self.text("_is_full_backward_hook");
        self.code.push(op::NONE);
        self.text("_keys");
        self.dict(entries, |pickler, (key, _)| {
            pickler.text(key);
            pickler.code.push(op::NONE);
            Ok(())
        })?;
        self.code.extend([op::SETITEMS, op::BUILD]);
        Ok(())
    }

    fn parameter(&mut self, name: &str, array: &'a Array<'_>) -> Result<()> {
        self.global(names::REBUILD_PARAMETER);
        self.tensor(name, array)?;
        self.code.push(op::NEWTRUE);
        self.ordered_dict();
        self.code.extend([op::TUPLE3, op::REDUCE]);
        Ok(())
    }

    fn tensor(&mut self, name: &str, array: &'a Array<'_>) -> Result<()> {
        array.check(name)?;
        self.global(names::REBUILD_TENSOR);
        self.code.push(op::MARK);
        self.storage(name, array)?;
        self.integer(0);
        self.integers(&array.shape);
        self.integers(&row_major(&array.shape));
        self.code.push(op::NEWFALSE);
        self.ordered_dict();
        self.code.extend([op::TUPLE, op::REDUCE]);
        Ok(())
    }

    fn storage(&mut self, name: &str, array: &'a Array<'_>) -> Result<()> {
        let class = names::STORAGES.iter().find(|(_, dtype)| *dtype == array.dtype);
        let Some((class, _)) = class else {
            return Err(Error::UnsupportedDtype {
                path: self.path.to_owned(),
                name: name.to_owned(),
                found: array.dtype.to_string(),
                expected: "a type for which PyTorch has storages",
            });
        };
        self.code.push(op::MARK);
        self.text(names::STORAGE);
        self.global(("torch", class));
        self.text(&self.storages.len().to_string());
        self.text("cpu");
        self.integer(array.bytes.len() / array.dtype.size());
        self.code.extend([op::TUPLE, op::BINPERSID]);
        self.storages.push(&array.bytes);
        Ok(())
    }

    fn ordered_dict(&mut self) {
        self.global(names::ORDERED_DICT);
        self.code.extend([op::EMPTY_TUPLE, op::REDUCE]);
    }

    fn global(&mut self, (module, name): (&str, &str)) {
        self.code.push(op::GLOBAL);
        self.code.extend(format!("{module}\n{name}\n").bytes());
    }

    /// # Panics
    ///
    /// If the text is longer than four gibibytes.
    fn text(&mut self, text: &str) {
        let length = u32::try_from(text.len()).expect("a name is shorter than four gibibytes");
        self.code.push(op::BINUNICODE);
        self.code.extend(length.to_le_bytes());
        self.code.extend(text.bytes());
    }

    fn integers(&mut self, values: &[usize]) {
        self.code.push(op::MARK);
        values.iter().for_each(|value| self.integer(*value));
        self.code.push(op::TUPLE);
    }

    /// A size or position; what fits into memory is far from the sign bit.
    fn integer(&mut self, value: usize) {
        self.signed(value as i64);
    }

    fn signed(&mut self, value: i64) {
        match i32::try_from(value) {
            Ok(small) => {
                self.code.push(op::BININT);
                self.code.extend(small.to_le_bytes());
            }
            Err(_) => {
                self.code.extend([op::LONG1, 8]);
                self.code.extend(value.to_le_bytes());
            }
        }
    }
}
