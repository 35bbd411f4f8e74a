//! Checkpoints made by hand: pickles put together from opcodes, in archives.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Opcodes that leave one value on the stack.
pub type Code = Vec<u8>;

pub fn join(parts: &[&[u8]]) -> Code {
    parts.concat()
}

/// A whole pickle of protocol 2 that ends with `value`.
pub fn pickle(value: &[u8]) -> Vec<u8> {
    join(&[b"\x80\x02", value, b"."])
}

pub fn text(text: &str) -> Code {
    join(&[b"X", &(text.len() as u32).to_le_bytes(), text.as_bytes()])
}

pub fn int(value: i64) -> Code {
    join(&[b"\x8a\x08", &value.to_le_bytes()])
}

pub fn tuple(items: &[Code]) -> Code {
    join(&[b"(", &items.concat(), b"t"])
}

pub fn ints(values: &[i64]) -> Code {
    tuple(&values.iter().map(|value| int(*value)).collect::<Vec<_>>())
}

pub fn dict(pairs: &[(&str, Code)]) -> Code {
    let pairs: Vec<Code> = pairs.iter().map(|(key, value)| join(&[&text(key), value])).collect();
    join(&[b"}(", &pairs.concat(), b"u"])
}

/// A class or function by its module and name.
pub fn global(module: &str, name: &str) -> Code {
    format!("c{module}\n{name}\n").into_bytes()
}

pub fn call(callee: &[u8], args: &[Code]) -> Code {
    join(&[callee, &tuple(args), b"R"])
}

/// A tensor as `torch.save` describes it.
pub struct Tensor<'a> {
    pub class: &'a str,
    pub key: &'a str,
    pub elements: i64,
    pub offset: i64,
    pub shape: &'a [i64],
    pub strides: &'a [i64],
}

/// A 2x3 tensor of `f32` that fills storage 0.
pub const PLAIN: Tensor<'_> = Tensor {
    class: "FloatStorage",
    key: "0",
    elements: 6,
    offset: 0,
    shape: &[2, 3],
    strides: &[3, 1],
};

impl Tensor<'_> {
    pub fn storage(&self) -> Code {
        let class = global("torch", self.class);
        let fields = [text("storage"), class, text(self.key), text("cuda:0"), int(self.elements)];
        join(&[&tuple(&fields), b"Q"])
    }

    /// The arguments of `_rebuild_tensor_v2`.
    pub fn args(&self) -> Vec<Code> {
        let hooks = call(&global("collections", "OrderedDict"), &[]);
        let (shape, strides) = (ints(self.shape), ints(self.strides));
        vec![self.storage(), int(self.offset), shape, strides, vec![0x89], hooks]
    }

    pub fn code(&self) -> Code {
        call(&global("torch._utils", "_rebuild_tensor_v2"), &self.args())
    }
}

/// Little-endian `f32` counting up from one.
pub fn floats(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| (i as f32 + 1.0).to_le_bytes()).collect()
}

/// An archive of these entries, with the method given.
pub fn archive_with(method: CompressionMethod, entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in entries {
        zip.start_file(*name, options).expect("an entry");
        zip.write_all(bytes).expect("its content");
    }
    zip.finish().expect("an archive").into_inner()
}

pub fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    archive_with(CompressionMethod::Stored, entries)
}

/// A checkpoint of `value`, with six `f32` in storage 0.
pub fn checkpoint(value: &[u8]) -> Vec<u8> {
    archive(&[("archive/data.pkl", &pickle(value)), ("archive/data/0", &floats(6))])
}

/// The stream of pickles of PyTorch before 1.6, with its storages as keys and elements.
pub fn legacy(value: &[u8], storages: &[(&str, u64, &[u8])]) -> Vec<u8> {
    let magic = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
    let notes = dict(&[("protocol_version", int(1001)), ("little_endian", vec![0x88])]);
    let keys: Vec<Code> = storages.iter().map(|(key, ..)| text(key)).collect();
    let keys = join(&[b"](", &keys.concat(), b"e"]);
    let mut file: Vec<u8> = [&magic[..], &int(1001), &notes, value, &keys]
        .iter()
        .flat_map(|value| pickle(value))
        .collect();
    for (_, count, bytes) in storages {
        file.extend(count.to_le_bytes());
        file.extend(*bytes);
    }
    file
}
