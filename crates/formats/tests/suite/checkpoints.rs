//! Well-formed checkpoints, in the varieties that are met with.

use formats::DType;
use zip::CompressionMethod;

use crate::build::*;
use crate::{open, refusal};

fn names(value: &[u8]) -> Vec<String> {
    open(&checkpoint(value)).unwrap().names().map(str::to_owned).collect()
}

fn values(tensor: &Tensor<'_>) -> Vec<f32> {
    open(&checkpoint(&dict(&[("t", tensor.code())]))).unwrap().f32("t").unwrap()
}

#[test]
fn nesting_becomes_dotted_names() {
    let list = join(&[b"](", &PLAIN.code(), &PLAIN.code(), b"e"]);
    let numbered = join(&[b"}", &int(7), &PLAIN.code(), b"s"]);
    let value = dict(&[
        ("state_dict", dict(&[("a.b", PLAIN.code())])),
        ("global_step", int(400)),
        ("optimizer", dict(&[("state", numbered), ("groups", list)])),
    ]);
    assert_eq!(
        names(&value),
        ["optimizer.groups.0", "optimizer.groups.1", "optimizer.state.7", "state_dict.a.b"]
    );
}

/// Lightning 1.4, with which Stable Diffusion 1.x was trained, keys its callbacks by class
/// and keeps a NumPy scalar among their notes.
#[test]
fn lightning_callbacks_keyed_by_class() {
    let class = global("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint");
    let dtype = call(&global("numpy", "dtype"), &[text("f8"), int(0), int(1)]);
    let raw = call(&global("_codecs", "encode"), &[text("\u{fc}"), text("latin1")]);
    let scalar = call(&global("numpy.core.multiarray", "scalar"), &[dtype, raw]);
    let callbacks = join(&[b"}", &class, &dict(&[("best", scalar)]), b"s"]);
    let value = dict(&[("callbacks", callbacks), ("state_dict", dict(&[("w", PLAIN.code())]))]);
    assert_eq!(names(&value), ["state_dict.w"]);
}

#[test]
fn parameters_and_ordered_dictionaries() {
    let parameter = call(
        &global("torch._utils", "_rebuild_parameter"),
        &[PLAIN.code(), vec![0x88], call(&global("collections", "OrderedDict"), &[])],
    );
    // An OrderedDict with versions as its state, as a module's `state_dict` has them.
    let ordered = call(&global("collections", "OrderedDict"), &[]);
    let versions = dict(&[("_metadata", dict(&[("", int(1))]))]);
    let ordered = join(&[&ordered, &text("w"), &parameter, b"s", &versions, b"b"]);
    // Python 2 wrote the pairs as an argument.
    let pair = join(&[b"](", &text("v"), &PLAIN.code(), b"e"]);
    let pairs = call(&global("collections", "OrderedDict"), &[join(&[b"]", &pair, b"a"])]);
    assert_eq!(names(&dict(&[("new", ordered), ("old", pairs)])), ["new.w", "old.v"]);
}

#[test]
fn shared_tensors_and_every_way_to_recall_them() {
    let value = join(&[
        b"}(",
        &text("put"),
        &PLAIN.code(),
        b"q\x05",
        &text("again"),
        b"h\x05",
        &text("long"),
        b"j\x05\0\0\0",
        &text("old"),
        b"g5\n",
        b"u",
    ]);
    assert_eq!(names(&value), ["again", "long", "old", "put"]);
}

#[test]
fn protocol_4_and_0_spell_the_same() {
    let storage = PLAIN.storage();
    let modern = join(&[
        b"\x80\x04\x95\0\0\0\0\0\0\0\0}\x94\x8c\x01w\x8c\x0ctorch._utils\x8c\x12_rebuild_tensor_v2\x93\x94(",
        &storage,
        b"K\0K\x02K\x03\x86K\x03K\x01\x86\x89}t\x94R\x94s.",
    ]);
    let ancient = join(&[
        b"(dp0\nS'w'\np1\nctorch._utils\n_rebuild_tensor_v2\n(",
        &storage,
        b"I0\n(I2\nL3L\ntp2\n(lp3\nI3\naI1\naI00\n(dtRp4\ns.",
    ]);
    for pickle in [modern, ancient] {
        let file = archive(&[("x/data.pkl", &pickle), ("x/data/0", &floats(6))]);
        let file = open(&file).unwrap();
        assert_eq!(file.f32("w").unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }
}

#[test]
fn views_of_a_storage_are_read_in_order() {
    assert_eq!(
        values(&Tensor { shape: &[3, 2], strides: &[1, 3], ..PLAIN }),
        [1., 4., 2., 5., 3., 6.]
    );
    assert_eq!(values(&Tensor { offset: 4, shape: &[2], strides: &[1], ..PLAIN }), [5., 6.]);
    assert_eq!(values(&Tensor { offset: 5, shape: &[], strides: &[], ..PLAIN }), [6.]);
    assert_eq!(values(&Tensor { shape: &[2, 2], strides: &[0, 5], ..PLAIN }), [1., 6., 1., 6.]);
}

#[test]
fn big_endian_archives() {
    let values: Vec<u8> = (1..=6).flat_map(|i| (i as f32).to_be_bytes()).collect();
    let pickle = pickle(&dict(&[("t", PLAIN.code())]));
    let entries: [(&str, &[u8]); 3] =
        [("a/data.pkl", &pickle), ("a/byteorder", b"big"), ("a/data/0", &values)];
    assert_eq!(open(&archive(&entries)).unwrap().f32("t").unwrap(), [1., 2., 3., 4., 5., 6.]);
}

#[test]
fn storages_that_do_not_know_their_type() {
    let tensor =
        Tensor { class: "UntypedStorage", elements: 24, shape: &[12], strides: &[1], ..PLAIN };
    let mut args = tensor.args();
    args.push(global("torch", "uint16"));
    let code = call(&global("torch._utils", "_rebuild_tensor_v3"), &args);
    let file = open(&checkpoint(&dict(&[("t", code)]))).unwrap();
    assert_eq!(file.get("t").unwrap().dtype, DType::U16);
    assert_eq!(file.i64("t").unwrap()[1], i64::from(1f32.to_bits() >> 16));
}

#[test]
fn tensors_of_exotic_kinds_do_not_hide_the_others() {
    let complex = Tensor { class: "ComplexFloatStorage", elements: 3, ..PLAIN };
    let layout = call(&global("torch.serialization", "_get_layout"), &[text("torch.sparse_coo")]);
    let sparse = call(&global("torch._utils", "_rebuild_sparse_tensor"), &[layout]);
    let value = dict(&[("good", PLAIN.code()), ("complex", complex.code()), ("sparse", sparse)]);
    let file = open(&checkpoint(&value)).unwrap();
    assert!(file.names().eq(["good"]));
    let problem = file.f32("complex").unwrap_err().to_string();
    assert!(problem.contains("`complex`") && problem.contains("ComplexFloatStorage"), "{problem}");
    assert!(file.f32("sparse").unwrap_err().to_string().contains("_rebuild_sparse_tensor"));
}

#[test]
fn streams_from_before_archives() {
    let part = tuple(&[text("view"), int(2), int(3)]);
    let fields =
        [text("storage"), global("torch", "FloatStorage"), text("b"), text("cpu"), int(6), part];
    let storage = join(&[&tuple(&fields), b"Q"]);
    let args = [storage, int(1), ints(&[2]), ints(&[1]), vec![0x89], dict(&[])];
    let part = call(&global("torch._utils", "_rebuild_tensor_v2"), &args);
    let whole = Tensor { key: "a", elements: 2, shape: &[2], strides: &[1], ..PLAIN };
    let value = dict(&[("whole", whole.code()), ("part", part)]);
    let file = legacy(&value, &[("b", 6, &floats(6)), ("a", 2, &floats(2))]);
    let file = open(&file).unwrap();
    assert_eq!(file.f32("whole").unwrap(), [1.0, 2.0]);
    assert_eq!(file.f32("part").unwrap(), [4.0, 5.0]);
}

/// The old stream refers to the class of a module along with its program text.
#[test]
fn parameter_dictionaries_in_streams() {
    let class = global("torch.nn.modules.container", "ParameterDict");
    let reference = tuple(&[text("module"), class, text("container.py"), text("class ...")]);
    let state = dict(&[("training", vec![0x88]), ("_parameters", dict(&[("*", PLAIN.code())]))]);
    let parameters = join(&[&reference, b"Q)\x81", &state, b"b"]);
    let value = dict(&[("string_to_param", parameters)]);
    let file = open(&legacy(&value, &[("0", 6, &floats(6))])).unwrap();
    assert!(file.names().eq(["string_to_param.*"]));
}

#[test]
fn compressed_archives_are_declined_with_advice() {
    let pickle = pickle(&dict(&[]));
    let entries: [(&str, &[u8]); 1] = [("a/data.pkl", &pickle)];
    let declined = refusal(&rezip(&archive(&entries)));
    assert!(declined.contains("compressed") && declined.contains("pack it without"), "{declined}");
    let other = archive_with(CompressionMethod::Stored, &[("readme.txt", b"hello")]);
    assert!(refusal(&other).contains("data.pkl"));
}

/// A module of a TorchScript program has its weights among other attributes.
#[test]
fn programs_are_read_for_their_weights() {
    let module = |attributes: &[(&str, Vec<u8>)]| {
        let class = global("__torch__.model.___torch_mangle_1", "Layer");
        join(&[&class, b")\x81", &dict(attributes), b"b"])
    };
    let inner = module(&[("weight", PLAIN.code()), ("bias", b"N".to_vec())]);
    let outer = pickle(&module(&[("training", vec![0x88]), ("0", inner)]));
    let storage = floats(6);
    let entries: [(&str, &[u8]); 3] =
        [("a/data.pkl", &outer), ("a/constants.pkl", &outer), ("a/data/0", &storage)];
    let file = open(&archive(&entries)).unwrap();
    assert!(file.names().eq(["0.weight"]));
}

/// Marks the entries of an archive as compressed, in its directory.
fn rezip(archive: &[u8]) -> Vec<u8> {
    let mut archive = archive.to_vec();
    let directory = archive.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    archive[directory + 10] = 8;
    archive
}
