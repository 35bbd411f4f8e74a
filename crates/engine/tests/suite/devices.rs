//! Devices beside the processor, in builds that have them.
#![allow(clippy::print_stderr)]

use engine::{
    device::{Found, Kind, SelfTest, devices, self_test},
    nn::{Frozen, Precision},
};

/// Mesa's software driver will do (Debian: `mesa-vulkan-drivers`).
#[test]
fn every_vulkan_device_computes_what_the_processor_does() {
    let vulkan: Vec<_> =
        devices().into_iter().map(Result::unwrap).filter(|d| d.kind == Kind::Vulkan).collect();
    if vulkan.is_empty() {
        golden::skipped("there is no Vulkan driver here");
    }
    for found in vulkan {
        for precision in Precision::ALL {
            if found.computes_in(precision) {
                assert_passes(&found, precision);
            }
        }
    }
}

fn assert_passes(found: &Found, precision: Precision) {
    for streamed in [false, true] {
        let kept = Frozen { precision, streamed, ..Frozen::new(&found.device) };
        let test = self_test(found.name(), &kept).unwrap();
        let (device, what) = (found.name(), &found.description);
        eprintln!("{device} ({what}), {}: {}", precision.name(), test.figures());
        for difference in &test.differences {
            eprintln!("  {:.1e}  {}", difference.error, difference.what);
        }
        assert!(test.passes(), "more than {:.0e}", SelfTest::most(precision));
    }
}
