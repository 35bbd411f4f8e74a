//! Files made to do harm: each is refused with a sentence, and nothing happens.

use formats::Error;

use crate::allocation::peak;
use crate::build::*;
use crate::{folder, open, refusal};

/// Every way of calling a function that pickle has, with `os.system` and a command.
fn calls_of_system(command: &str) -> Vec<Vec<u8>> {
    let system = global("posix", "system");
    let command = text(command);
    vec![
        join(&[&system, &tuple(std::slice::from_ref(&command)), b"R"]),
        join(&[&system, &tuple(std::slice::from_ref(&command)), b"\x81"]),
        join(&[&system, &tuple(std::slice::from_ref(&command)), b"}\x92"]),
        join(&[b"(", &command, b"iposix\nsystem\n"]),
        join(&[b"(", &system, &command, b"o"]),
        join(&[&text("posix"), &text("system"), b"\x93", &tuple(&[command]), b"R"]),
    ]
}

#[test]
fn os_system_is_named_and_not_run() {
    let folder = folder();
    let marker = folder.path().join("marker");
    let command = format!("touch {}", marker.display());
    for call in calls_of_system(&command) {
        let inner = dict(&[("state_dict", dict(&[("w", PLAIN.code())])), ("x", call.clone())]);
        // The result may also be thrown away, so that it is not part of what is saved.
        let dropped = join(&[&call, b"0", &dict(&[("w", PLAIN.code())])]);
        for file in [
            checkpoint(&call),
            checkpoint(&inner),
            checkpoint(&dropped),
            legacy(&inner, &[("0", 6, &floats(6))]),
            pickle(&call),
            join(&[&call, b"."]),
        ] {
            match open(&file) {
                Err(Error::UnsafePickle { callable, .. }) => assert_eq!(callable, "posix.system"),
                other => panic!("{other:?}"),
            }
            assert!(!marker.exists());
        }
    }
    let told = refusal(&checkpoint(&calls_of_system(&command)[0]));
    assert!(told.contains("`posix.system`") && told.contains("It was not run"), "{told}");
}

#[test]
fn other_callables_are_refused_as_well() {
    for (module, name) in [
        ("builtins", "eval"),
        ("__builtin__", "exec"),
        ("builtins", "getattr"),
        ("subprocess", "Popen"),
        ("torch", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("torch.hub", "load"),
        ("numpy", "load"),
        ("some.project", "Model"),
        ("collections", "OrderedDict.fromkeys"),
    ] {
        let told = refusal(&checkpoint(&call(&global(module, name), &[text("x")])));
        assert!(told.contains(&format!("`{module}.{name}`")), "{told}");
    }
}

#[test]
fn names_from_a_file_are_shown_harmlessly() {
    let told = refusal(&checkpoint(&call(&global("\u{1b}[2Jos", "system"), &[])));
    assert!(told.contains("`\\u{1b}[2Jos.system`"), "{told}");
    let told = refusal(&checkpoint(&call(&global("os", &"x".repeat(100_000)), &[])));
    assert!(told.contains("xxx...`") && told.len() < 2000, "{told}");
}

#[test]
fn naming_a_class_is_no_call() {
    let value = dict(&[("w", PLAIN.code()), ("loss", global("torch.nn", "MSELoss"))]);
    assert!(open(&checkpoint(&value)).unwrap().names().eq(["w"]));
}

#[test]
fn calls_and_states_on_the_wrong_objects() {
    for (value, expected) in [
        (join(&[&int(1), b")R"]), "call an integer"),
        (join(&[&global("torch", "Size"), &int(1), b"R"]), "without a list of arguments"),
        (join(&[&global("posix", "system"), b"}b"]), "set the state of a class or function"),
        (join(&[&int(1), &int(2), b"a"]), "append to an integer"),
        (join(&[&int(1), &text("k"), &int(2), b"s"]), "set items of an integer"),
        (join(&[b"}(", &text("k"), b"u"]), "without a value"),
        (join(&[&int(1), &int(2), b"\x93"]), "something else than text"),
        (join(&[&int(1), b"Q", b"}(", &text("k"), b"h\x07u"]), "slot 7"),
        (b"(".to_vec(), "takes more from the stack"),
        (b"0".to_vec(), "takes more from the stack"),
        (b"K\x01(\x85".to_vec(), "takes more from the stack"),
        (b"\x82\x01".to_vec(), "unknown opcode 0x82"),
        (b"\x80\x09".to_vec(), "protocol 9"),
        (b"X\xff\xff\xff\x7fabc".to_vec(), "ends too early"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc".to_vec(), "ends too early"),
        (b"X\x01\0\0\0\xff".to_vec(), "no UTF-8"),
    ] {
        let told = refusal(&checkpoint(&value));
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

/// A small file may describe an object of astronomical size by referring to parts of itself.
#[test]
fn bombs_cost_no_more_than_the_file() {
    // Each level is a pair of the level before: 2^60 leaves.
    let mut doubling = join(&[&PLAIN.code(), b"q\0"]);
    for _ in 0..60 {
        doubling.extend(b"h\0h\0\x86q\0");
    }
    // Two hundred levels; no checkpoint is nested so deeply.
    let deep = join(&[&PLAIN.code(), &[0x85; 200]]);
    let cycle = b"]q\0h\0a".to_vec();
    // A list of pairs that is made a dictionary over and over.
    let pairs: Vec<u8> = (0..4000).flat_map(|i| join(&[&int(i), &int(i), b"\x86"])).collect();
    let mut copies = join(&[b"](", &pairs, b"eq\0"]);
    copies.extend(global("collections", "OrderedDict"));
    copies.extend(b"q\x01");
    for _ in 0..20_000 {
        copies.extend(b"h\x01h\0\x85R");
    }
    for bomb in [doubling, deep, cycle, copies] {
        let file = checkpoint(&bomb);
        let used = peak(|| {
            let told = refusal(&file);
            assert!(told.contains("nested deeper") || told.contains("multiplies"), "{told}");
        });
        assert!(used < 100 * file.len() + (1 << 20), "{used} bytes for {}", file.len());
    }
}

#[test]
fn opcodes_of_one_byte_cost_a_small_multiple() {
    for opcode in *b"N)]}(" {
        let file = checkpoint(&join(&[&vec![opcode; 1 << 20], b"N"]));
        let used = peak(|| drop(open(&file)));
        assert!(used < 100 * file.len(), "{used} bytes for {}", file.len());
    }
}

#[test]
fn nesting_without_end_does_not_exhaust_the_stack() {
    let deep = join(&[b"]", &vec![0x85; 1_000_000]]);
    assert!(refusal(&checkpoint(&deep)).contains("nested deeper"));
    let marks = vec![b'('; 1_000_000];
    assert!(refusal(&checkpoint(&marks)).contains("takes more"));
    let long = vec![b'N'; 10 << 20];
    assert!(refusal(&checkpoint(&long)).contains("longer than"));
}

#[test]
fn names_without_end() {
    let key = "k".repeat(2000);
    assert!(refusal(&checkpoint(&dict(&[(&key, PLAIN.code())]))).contains("name longer than"));
    let twice = dict(&[("a", dict(&[("b", PLAIN.code())])), ("a.b", PLAIN.code())]);
    assert!(refusal(&checkpoint(&twice)).contains("two tensors named `a.b`"));
}

#[test]
fn tensors_that_reach_outside_their_storage() {
    for tensor in [
        Tensor { offset: 1, ..PLAIN },
        Tensor { offset: -1, ..PLAIN },
        Tensor { offset: i64::MAX, ..PLAIN },
        Tensor { strides: &[-3, 1], ..PLAIN },
        Tensor { strides: &[4, 1], ..PLAIN },
        Tensor { strides: &[i64::MAX, i64::MAX], ..PLAIN },
        Tensor { shape: &[-2, 3], ..PLAIN },
        Tensor { shape: &[3, 3], ..PLAIN },
        Tensor { shape: &[i64::MAX, 3], strides: &[0, 0], ..PLAIN },
        Tensor { shape: &[i64::MAX, i64::MAX], strides: &[0, 0], ..PLAIN },
        Tensor { shape: &[1 << 31], strides: &[0], ..PLAIN },
        Tensor { shape: &[2, 3], strides: &[1], ..PLAIN },
        Tensor { elements: 7, ..PLAIN },
        Tensor { elements: 5, ..PLAIN },
        Tensor { elements: -1, ..PLAIN },
        Tensor { elements: i64::MAX, ..PLAIN },
        Tensor { class: "DoubleStorage", ..PLAIN },
        Tensor { key: "1", ..PLAIN },
        Tensor { key: "../../0", ..PLAIN },
        Tensor { class: "FileStorage", ..PLAIN },
    ] {
        let file = checkpoint(&dict(&[("t", tensor.code())]));
        let result = open(&file);
        assert!(matches!(result, Err(Error::Malformed { .. })), "{:?}", result.err());
    }
}

#[test]
fn rebuilding_with_nonsense() {
    for args in [vec![], vec![int(1); 6], vec![PLAIN.storage()]] {
        let value = call(&global("torch._utils", "_rebuild_tensor_v2"), &args);
        assert!(refusal(&checkpoint(&value)).contains("something else than a storage"));
    }
    let value = join(&[&int(3), b"Q"]);
    let args = [value, int(0), ints(&[1]), ints(&[1])];
    let value = call(&global("torch._utils", "_rebuild_tensor_v2"), &args);
    assert!(refusal(&checkpoint(&value)).contains("something else than a storage"));
}

#[test]
fn entries_outside_the_archive_are_never_written() {
    let folder = folder();
    let inside = folder.path().join("a/b");
    std::fs::create_dir_all(&inside).unwrap();
    let path = inside.join("weights.pt");
    let pickle = pickle(&dict(&[("t", PLAIN.code())]));
    let entries: [(&str, &[u8]); 4] = [
        ("../../x", b"x"),
        ("archive/../../y", b"y"),
        ("archive/data.pkl", &pickle),
        ("archive/data/0", &floats(6)),
    ];
    std::fs::write(&path, archive(&entries)).unwrap();
    assert!(formats::TensorFile::open(&path).unwrap().f32("t").is_ok());
    let listing = |path: &std::path::Path| std::fs::read_dir(path).unwrap().count();
    assert_eq!((listing(folder.path()), listing(&inside)), (1, 1));
}

#[test]
fn archives_that_lie() {
    let honest = checkpoint(&dict(&[("t", PLAIN.code())]));
    let find = |signature: &[u8], nth: usize| {
        let mut found = honest.windows(4).enumerate().filter(|(_, bytes)| bytes == &signature);
        found.nth(nth).unwrap().0
    };
    let directory = find(b"PK\x01\x02", 1);
    let patched = |at: usize, bytes: &[u8]| {
        let mut file = honest.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    for (file, what) in [
        (patched(directory + 24, &100u32.to_le_bytes()), "the size of an entry"),
        (patched(directory + 20, &[0xff, 0xff, 0xff, 0x7f].repeat(2)), "both sizes of an entry"),
        (patched(directory + 42, &0u32.to_le_bytes()), "where an entry starts"),
        (patched(directory + 42, &u32::MAX.to_le_bytes()), "where an entry starts"),
        (honest[..honest.len() - 10].to_vec(), "the end"),
        (honest[..honest.len() / 2].to_vec(), "half of it"),
        (archive(&[("a/data.pkl", b"")]), "an empty pickle"),
    ] {
        let result = open(&file);
        assert!(matches!(result, Err(Error::Malformed { .. })), "{what}: {:?}", result.err());
    }
}

#[test]
fn checksums_are_compared() {
    let honest = checkpoint(&dict(&[("t", PLAIN.code())]));
    let position = honest.windows(24).position(|bytes| bytes == floats(6)).unwrap();
    let mut file = honest.clone();
    file[position] ^= 1;
    let told = open(&file).unwrap().f32("t").unwrap_err().to_string();
    assert!(told.contains("`t`") && told.contains("checksum"), "{told}");
    let mut file = honest;
    let position = file.windows(4).position(|bytes| bytes == b"cuda").unwrap();
    file[position] = b'X';
    assert!(refusal(&file).contains("checksum"));
}

#[test]
fn streams_that_lie() {
    let value = dict(&[("t", PLAIN.code())]);
    let bytes = floats(6);
    for (file, expected) in [
        (legacy(&value, &[("0", 7, &bytes)]), "not where it should be"),
        (legacy(&value, &[("0", 6, &bytes[1..])]), "truncated"),
        (legacy(&value, &[("1", 6, &bytes)]), "no tensor refers to"),
        (legacy(&value, &[]), "no storage `0`"),
        (pickle(&dict(&[("a", int(1))])), "plain Python pickle of a dictionary"),
    ] {
        let told = refusal(&file);
        assert!(told.contains(expected), "{expected}: {told}");
    }
}
