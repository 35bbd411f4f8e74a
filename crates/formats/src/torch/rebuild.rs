//! The callables that a checkpoint may call, and what each of them makes.
//!
//! The list is what released Stable Diffusion checkpoints, textual inversion embeddings,
//! OpenAI's CLIP and PyTorch's own `weights_only` loader need. Naming any other class is harmless and
//! happens (Lightning 1.4 keys its callbacks by class); calling it is refused.

use super::names;
use super::objects::{Heap, Id, Object, Rebuild};
use crate::error::Fault;

/// Answers a call of `callee` with the tuple `args`.
pub(crate) fn call(heap: &mut Heap, callee: Id, args: Id) -> Result<Id, Fault> {
    let Object::Global { name: function, .. } = *heap.get(callee) else {
        let kind = heap.get(callee).kind();
        return Fault::malformed(format!("its pickle wants to call {kind}"));
    };
    let Some(items) = heap.sequence(args) else {
        return Fault::malformed("its pickle makes a call without a list of arguments");
    };
    let first = items.first().copied();
    let (module, name) = heap.global(callee).expect("a global is made of two texts");
    let object = match (module, name) {
        names::ORDERED_DICT | ("collections", "Counter") => return dict(heap, first),
        ("collections", "defaultdict") => Object::Dict(Vec::new()),
        ("builtins" | "__builtin__", "set" | "frozenset" | "list" | "tuple") => match first {
            Some(items) => return Ok(items),
            None => Object::Sequence(Vec::new()),
        },
        names::REBUILD_TENSOR | ("torch._utils", "_rebuild_tensor") => {
            Object::Tensor { args, rebuild: Rebuild::Typed }
        }
        ("torch._utils", "_rebuild_tensor_v3") => {
            Object::Tensor { args, rebuild: Rebuild::Untyped }
        }
        names::REBUILD_PARAMETER | ("torch._utils", "_rebuild_parameter_with_state") => {
            return first.ok_or_else(|| Fault::Malformed("a parameter without its tensor".into()));
        }
        ("torch._utils", rebuild) if rebuild.starts_with("_rebuild_") => {
            Object::Unreadable(function)
        }
        ("torch._tensor", "_rebuild_from_type_v2") => Object::Unreadable(function),
        ("torch.nn.modules.container", _) => Object::Module(None),
        (module, _) if module.split('.').next() == Some(names::PROGRAM) => Object::Scripted(None),
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar" | "_reconstruct")
        | ("numpy", "dtype" | "ndarray")
        | ("_codecs", "encode")
        | ("torch", "Size" | "device")
        | ("torch.serialization", "_get_layout") => return Ok(Heap::PLAIN),
        _ => return Err(Fault::UnsafePickle(format!("{module}.{name}"))),
    };
    Ok(heap.add(object))
}

/// `OrderedDict()`, `OrderedDict([(key, value), ...])` or `Counter({key: value, ...})`.
fn dict(heap: &mut Heap, items: Option<Id>) -> Result<Id, Fault> {
    let Some(items) = items else {
        return Ok(heap.add(Object::Dict(Vec::new())));
    };
    let pairs = match heap.get(items) {
        Object::Dict(_) => return Ok(items),
        Object::Sequence(pairs) => pairs.iter().map(|pair| match heap.sequence(*pair) {
            Some([key, value]) => Some((*key, *value)),
            _ => None,
        }),
        other => {
            let kind = other.kind();
            return Fault::malformed(format!("its pickle makes a dictionary of {kind}"));
        }
    };
    let pairs = pairs.collect::<Option<Vec<_>>>();
    let pairs = pairs
        .ok_or_else(|| Fault::Malformed("a dictionary of something else than pairs".into()))?;
    heap.add_copied(pairs)
}
