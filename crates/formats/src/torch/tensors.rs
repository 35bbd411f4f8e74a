//! Finding the tensors among the objects of a pickle.

use super::names;
use super::objects::{Heap, Id, Object, Rebuild};
use crate::DType;
use crate::contents::Contents;
use crate::error::Fault;
use crate::view::{Info, Storage, View};

/// How deep tensors may be nested. Checkpoints nest five deep at most.
const MAX_DEPTH: usize = 64;

/// How often an object is looked at on average, beyond a free allowance. A pickle can refer
/// to one object many times over, so that walking it could take far longer than reading it
/// did; an honest one shares a tensor here and there, or a whole dictionary twice.
const MAX_SHARING: usize = 4;
const FREE_VISITS: usize = 1024;

/// How many tensors are listed, and how long their names may be, for the same reason.
const MAX_TENSORS: usize = 1 << 16;
const MAX_NAME: usize = 512;

/// How long the key of a storage may be; PyTorch uses numbers.
const MAX_KEY: usize = 64;

/// Where a module keeps its tensors.
const MODULE_TABLES: [&str; 3] = ["_parameters", "_buffers", "_modules"];

type Result<T> = std::result::Result<T, Fault>;

/// Lists all tensors that can be reached from `root` under their dotted paths.
///
/// Dictionaries contribute their keys, lists their positions. A module contributes what its
/// `state_dict` would have: a `ParameterDict` looks like a dictionary of its parameters.
pub(crate) fn collect(
    heap: &Heap,
    root: Id,
    locate: &dyn Fn(&StorageKey) -> Result<Storage>,
) -> Result<Contents> {
    let visits = heap.len() * MAX_SHARING + FREE_VISITS;
    let mut walk = Walk { heap, locate, found: Contents::default(), path: String::new(), visits };
    walk.visit(root, 0)?;
    Ok(walk.found)
}

struct Walk<'a> {
    heap: &'a Heap,
    locate: &'a dyn Fn(&StorageKey) -> Result<Storage>,
    found: Contents,
    path: String,
    /// How many objects may still be looked at.
    visits: usize,
}

impl Walk<'_> {
    fn visit(&mut self, id: Id, depth: usize) -> Result<()> {
        self.visits = self.visits.saturating_sub(1);
        if depth > MAX_DEPTH || self.visits == 0 {
            return Fault::malformed(
                "its pickle is nested deeper, or refers to its parts more often, than a \
                 checkpoint does",
            );
        }
        match self.heap.get(id) {
            Object::Dict(pairs) => self.visit_dict(pairs, depth),
            Object::Sequence(items) => items
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| self.descend(&index.to_string(), *item, depth)),
            Object::Module(Some(state)) => self.visit_module(*state, depth),
            Object::Scripted(Some(attributes)) => self.visit(*attributes, depth + 1),
            Object::Tensor { args, rebuild } => self.tensor(*args, *rebuild),
            Object::Unreadable(function) => {
                self.unreadable(self.heap.text(*function).unwrap_or_default().to_owned())
            }
            _ => Ok(()),
        }
    }

    fn visit_dict(&mut self, pairs: &[(Id, Id)], depth: usize) -> Result<()> {
        pairs.iter().try_for_each(|(key, value)| {
            let key = match (self.heap.label(*key), self.heap.global(*key)) {
                (Some(label), _) => label,
                (None, Some((module, name))) => format!("{module}.{name}").into(),
                (None, None) => format!("<{}>", self.heap.get(*key).kind()).into(),
            };
            self.descend(&key, *value, depth)
        })
    }

    /// The dictionaries in which a module keeps its tensors do not show in their names.
    fn visit_module(&mut self, state: Id, depth: usize) -> Result<()> {
        let Object::Dict(pairs) = self.heap.get(state) else { return Ok(()) };
        pairs
            .iter()
            .filter(|(key, _)| self.heap.text(*key).is_some_and(|key| MODULE_TABLES.contains(&key)))
            .try_for_each(|(_, table)| self.visit(*table, depth + 1))
    }

    fn descend(&mut self, key: &str, value: Id, depth: usize) -> Result<()> {
        let outer = self.path.len();
        if outer > 0 {
            self.path.push('.');
        }
        if self.path.len() + key.len() > MAX_NAME {
            return Fault::malformed(format!("it has a name longer than {MAX_NAME} bytes"));
        }
        self.path.push_str(key);
        self.visit(value, depth + 1)?;
        self.path.truncate(outer);
        Ok(())
    }

    fn tensor(&mut self, args: Id, rebuild: Rebuild) -> Result<()> {
        let parsed = Description::parse(self.heap, args, rebuild);
        let Some(parsed) = parsed? else {
            return Fault::malformed(format!(
                "its pickle describes `{}` by something else than a storage, an offset, a \
                 shape and strides",
                self.path
            ));
        };
        let dtype = match parsed.element {
            Ok(dtype) => dtype,
            Err(class) => return self.unreadable(class),
        };
        if parsed.key.element_size != dtype.size() && parsed.key.element_size != 1 {
            return Fault::malformed(format!("`{}` is {dtype}, its storage is not", self.path));
        }
        let storage = parsed.key.narrow((self.locate)(&parsed.key)?)?;
        let info = Info { dtype, shape: parsed.shape };
        let view = View::strided(info, storage, parsed.offset, parsed.strides)
            .map_err(|problem| Fault::Malformed(format!("`{}`: {problem}", self.path)))?;
        self.claim_name()?;
        self.found.tensors.insert(self.path.clone(), view);
        Ok(())
    }

    fn unreadable(&mut self, what: String) -> Result<()> {
        self.claim_name()?;
        self.found.unreadable.insert(self.path.clone(), what);
        Ok(())
    }

    fn claim_name(&self) -> Result<()> {
        let Contents { tensors, unreadable, .. } = &self.found;
        if tensors.contains_key(&self.path) || unreadable.contains_key(&self.path) {
            return Fault::malformed(format!("it has two tensors named `{}`", self.path));
        }
        if tensors.len() + unreadable.len() >= MAX_TENSORS {
            return Fault::malformed(format!("it lists more than {MAX_TENSORS} tensors"));
        }
        Ok(())
    }
}

/// The arguments of a rebuilding function.
struct Description {
    key: StorageKey,
    /// The element type, or the name of one that is not read.
    element: std::result::Result<DType, String>,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl Description {
    /// `None` if the arguments are not what such a function takes.
    fn parse(heap: &Heap, args: Id, rebuild: Rebuild) -> Result<Option<Self>> {
        let Some([storage, offset, shape, strides, rest @ ..]) = heap.sequence(args) else {
            return Ok(None);
        };
        let (Object::Persistent(reference), Some(offset), Some(shape), Some(strides)) =
            (heap.get(*storage), heap.count(*offset), heap.counts(*shape), heap.counts(*strides))
        else {
            return Ok(None);
        };
        let key = StorageKey::parse(heap, *reference)?;
        let element = match (rebuild, rest) {
            (Rebuild::Typed, _) => key.element.clone(),
            (Rebuild::Untyped, [_requires_grad, _hooks, dtype, ..]) => match heap.global(*dtype) {
                Some(("torch", name)) => torch_dtype(name),
                _ => return Ok(None),
            },
            (Rebuild::Untyped, _) => return Ok(None),
        };
        Ok(Some(Self { key, element, offset, shape, strides }))
    }
}

/// A reference to a storage: `("storage", class, key, device, elements[, view])`.
pub(crate) struct StorageKey {
    /// The name under which the storage is found.
    pub name: String,
    /// How many elements the whole storage has.
    pub elements: usize,
    /// The size of one of them in bytes; 1 for a storage that does not know its type.
    pub element_size: usize,
    element: std::result::Result<DType, String>,
    /// The part that is meant, as first element and count; only old files have this.
    part: Option<(usize, usize)>,
}

impl StorageKey {
    /// Reads a reference. The device on which the storage once was makes no difference.
    pub fn parse(heap: &Heap, reference: Id) -> Result<Self> {
        Self::parts(heap, reference).ok_or_else(|| {
            Fault::Malformed("its pickle refers to something else than a storage".to_owned())
        })
    }

    fn parts(heap: &Heap, reference: Id) -> Option<Self> {
        let [tag, class, name, _device, elements, view @ ..] = heap.sequence(reference)? else {
            return None;
        };
        let (module, class) = heap.global(*class)?;
        if heap.text(*tag)? != names::STORAGE || !module.starts_with("torch") {
            return None;
        }
        let (element_size, element) = storage_class(class)?;
        let part = match view.first().and_then(|view| heap.sequence(*view)) {
            Some([_key, first, count]) => Some((heap.count(*first)?, heap.count(*count)?)),
            Some(_) => return None,
            None => None,
        };
        let name = heap.label(*name).filter(|name| name.len() <= MAX_KEY)?.into_owned();
        let elements = heap.count(*elements)?;
        Some(Self { name, elements, element_size, element, part })
    }

    /// The size of the whole storage, or `None` if it exceeds the address space.
    pub fn byte_size(&self) -> Option<usize> {
        self.elements.checked_mul(self.element_size)
    }

    /// The part of the whole storage that is meant.
    fn narrow(&self, mut whole: Storage) -> Result<Storage> {
        let Some((first, count)) = self.part else { return Ok(whole) };
        if first.checked_add(count).is_none_or(|end| end > self.elements) {
            return Fault::malformed(format!("storage `{}` has a part outside itself", self.name));
        }
        let start = whole.bytes.start + first * self.element_size;
        whole.bytes = start..start + count * self.element_size;
        Ok(whole)
    }
}

/// The element size and type of a storage class, or the class's name if its type is not read.
fn storage_class(class: &str) -> Option<(usize, std::result::Result<DType, String>)> {
    if let Some((_, dtype)) = names::STORAGES.iter().find(|(name, _)| *name == class) {
        return Some((dtype.size(), Ok(*dtype)));
    }
    let size = match class {
        "ComplexDoubleStorage" => 16,
        "ComplexFloatStorage" => 8,
        "QInt32Storage" => 4,
        "QInt8Storage" | "QUInt8Storage" | "QUInt4x2Storage" | "QUInt2x4Storage" => 1,
        "UntypedStorage" => 1,
        _ => return None,
    };
    Some((size, Err(class.to_owned())))
}

/// An attribute of the module `torch` that names an element type.
fn torch_dtype(name: &str) -> std::result::Result<DType, String> {
    Ok(match name {
        "float64" | "double" => DType::F64,
        "float32" | "float" => DType::F32,
        "float16" | "half" => DType::F16,
        "bfloat16" => DType::BF16,
        "int64" | "long" => DType::I64,
        "int32" | "int" => DType::I32,
        "int16" | "short" => DType::I16,
        "int8" => DType::I8,
        "uint64" => DType::U64,
        "uint32" => DType::U32,
        "uint16" => DType::U16,
        "uint8" => DType::U8,
        "bool" => DType::Bool,
        other => return Err(other.to_owned()),
    })
}
