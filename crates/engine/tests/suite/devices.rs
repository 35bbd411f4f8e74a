//! Devices beside the processor, in builds that have them.
#![allow(clippy::print_stderr)]

use engine::{
    device::{Kind, SelfTest, devices, self_test},
    nn::Frozen,
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
        let test = self_test(found.name(), &Frozen::new(&found.device)).unwrap();
        eprintln!("{} ({}): {}", found.name(), found.description, test.figures());
        for difference in &test.differences {
            eprintln!("  {:.1e}  {}", difference.error, difference.what);
        }
        assert!(test.passes(), "more than {:.0e}", SelfTest::MOST);
    }
}
