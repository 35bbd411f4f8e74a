//! What a weight file holds, whatever its format.

use std::collections::BTreeMap;

use crate::view::View;

/// The tensors of a file by name, and what the file says about itself.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub tensors: BTreeMap<String, View>,
    /// Tensors of kinds that are not read, with what they are instead.
    pub unreadable: BTreeMap<String, String>,
    pub metadata: BTreeMap<String, String>,
}
