//! What a pickle describes: a graph of inert objects.

use std::borrow::Cow;

use crate::error::Fault;
use crate::view::MAX_RANK;

/// The number of an object in its [`Heap`].
pub(crate) type Id = u32;

/// A Python object, as far as finding tensors needs it.
#[derive(Debug)]
pub(crate) enum Object {
    /// Anything that neither is nor holds a tensor, nor describes one.
    Plain,
    Int(i64),
    Text(Box<str>),
    /// A list, a tuple or a set.
    Sequence(Vec<Id>),
    /// A dictionary of any class, as pairs in the order in which they were set.
    Dict(Vec<(Id, Id)>),
    /// A class or function, by the texts of its module and name. It is only a name.
    Global {
        module: Id,
        name: Id,
    },
    /// A `torch.nn` container with the state it was given.
    Module(Option<Id>),
    /// A module of a TorchScript program with the dictionary of its attributes.
    Scripted(Option<Id>),
    /// A reference to something outside the pickle: the tuple that describes a storage.
    Persistent(Id),
    /// A tensor: the arguments with which it is rebuilt, and by which function.
    Tensor {
        args: Id,
        rebuild: Rebuild,
    },
    /// A tensor of a kind that is not read, such as a sparse one, by its function's name.
    Unreadable(Id),
}

/// The functions of `torch._utils` by which a plain tensor is rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rebuild {
    /// `_rebuild_tensor` and `_rebuild_tensor_v2`: the storage determines the element type.
    Typed,
    /// `_rebuild_tensor_v3`: the seventh argument is the element type.
    Untyped,
}

impl Object {
    /// What to call the object in an error.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Plain => "a plain value",
            Self::Int(_) => "an integer",
            Self::Text(_) => "a text",
            Self::Sequence(_) => "a list",
            Self::Dict(_) => "a dictionary",
            Self::Global { .. } => "a class or function",
            Self::Module(_) | Self::Scripted(_) => "a module",
            Self::Persistent(_) => "a storage",
            Self::Tensor { .. } | Self::Unreadable(_) => "a tensor",
        }
    }
}

/// All objects of a pickle. They refer to each other by number, so that shared and circular
/// references need no care and dropping them needs no recursion.
#[derive(Debug)]
pub(crate) struct Heap {
    objects: Vec<Object>,
    /// How many pairs were copied from lists into dictionaries.
    copied: usize,
}

impl Heap {
    /// The one plain value: there is nothing to tell them apart by.
    pub const PLAIN: Id = 0;

    pub fn new() -> Self {
        Self { objects: vec![Object::Plain], copied: 0 }
    }

    /// # Panics
    ///
    /// If there are more than 2^32 objects, which no pickle of the permitted length makes.
    pub fn add(&mut self, object: Object) -> Id {
        let id = Id::try_from(self.objects.len()).expect("a pickle makes fewer objects than 2^32");
        self.objects.push(object);
        id
    }

    /// Adds a dictionary made of the pairs in a list.
    ///
    /// Every pair is an object of its own, so that an honest pickle copies fewer pairs than
    /// it has objects. One that turns the same list into dictionaries again and again would
    /// use far more memory than its own size.
    pub fn add_copied(&mut self, pairs: Vec<(Id, Id)>) -> Result<Id, Fault> {
        self.copied += pairs.len();
        if self.copied > self.objects.len() {
            return Fault::malformed("its pickle multiplies its own content");
        }
        Ok(self.add(Object::Dict(pairs)))
    }

    pub fn get(&self, id: Id) -> &Object {
        &self.objects[id as usize]
    }

    pub fn get_mut(&mut self, id: Id) -> &mut Object {
        &mut self.objects[id as usize]
    }

    pub fn len(&self) -> usize {
        self.objects.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Object> {
        self.objects.iter()
    }

    /// The items of a list, tuple or set.
    pub fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Object::Sequence(items) => Some(items),
            _ => None,
        }
    }

    pub fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Object::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The module and name of a class or function.
    pub fn global(&self, id: Id) -> Option<(&str, &str)> {
        match self.get(id) {
            Object::Global { module, name } => Some((self.text(*module)?, self.text(*name)?)),
            _ => None,
        }
    }

    /// A count, a size or a position: an integer that is not negative.
    pub fn count(&self, id: Id) -> Option<usize> {
        match self.get(id) {
            Object::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    /// A list of counts, one for each dimension of a tensor.
    pub fn counts(&self, id: Id) -> Option<Vec<usize>> {
        let items = self.sequence(id).filter(|items| items.len() <= MAX_RANK)?;
        items.iter().map(|item| self.count(*item)).collect()
    }

    /// A text, or an integer in decimal: PyTorch numbers storages and layers either way.
    pub fn label(&self, id: Id) -> Option<Cow<'_, str>> {
        match self.get(id) {
            Object::Text(text) => Some(Cow::Borrowed(text)),
            Object::Int(value) => Some(Cow::Owned(value.to_string())),
            _ => None,
        }
    }
}
