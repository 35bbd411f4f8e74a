//! Names in PyTorch's files that both the reader and the writer need.

use crate::DType;

/// The entry of an archive that holds the pickle.
pub(crate) const PICKLE: &str = "data.pkl";
/// The entry that tells the byte order of the storages.
pub(crate) const BYTE_ORDER: &str = "byteorder";
/// What the entries of a TorchScript program's text start with, the only compressed ones.
pub(crate) const CODE: &str = "code/";
/// What the entries of storages start with; the key follows.
pub(crate) const DATA: &str = "data/";

/// The first item of a reference to a storage.
pub(crate) const STORAGE: &str = "storage";

/// The storage classes in the module `torch`, and their element types.
pub(crate) const STORAGES: [(&str, DType); 10] = [
    ("DoubleStorage", DType::F64),
    ("FloatStorage", DType::F32),
    ("HalfStorage", DType::F16),
    ("BFloat16Storage", DType::BF16),
    ("LongStorage", DType::I64),
    ("IntStorage", DType::I32),
    ("ShortStorage", DType::I16),
    ("CharStorage", DType::I8),
    ("ByteStorage", DType::U8),
    ("BoolStorage", DType::Bool),
];

/// What the modules of TorchScript's classes start with; they lie in the archive itself.
pub(crate) const PROGRAM: &str = "__torch__";

/// Classes and functions, as module and name.
pub(crate) const ORDERED_DICT: (&str, &str) = ("collections", "OrderedDict");
pub(crate) const REBUILD_TENSOR: (&str, &str) = ("torch._utils", "_rebuild_tensor_v2");
pub(crate) const REBUILD_PARAMETER: (&str, &str) = ("torch._utils", "_rebuild_parameter");
pub(crate) const PARAMETER_DICT: (&str, &str) = ("torch.nn.modules.container", "ParameterDict");
