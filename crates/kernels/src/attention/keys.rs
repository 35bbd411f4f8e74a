//! Which keys a query may use.

/// The keys that a mask leaves of one row, and which of them come too late for a
/// query.
pub(super) struct UsableKeys {
    /// Their indices, rising.
    kept: Vec<usize>,
    causal: bool,
}

impl UsableKeys {
    pub(super) fn new(keys: usize, keep: Option<&[bool]>, causal: bool) -> Self {
        let kept = (0..keys).filter(|&key| keep.is_none_or(|keep| keep[key])).collect();
        Self { kept, causal }
    }

    /// The indices of the keys that are packed, rising; their positions in the packed
    /// matrix are their positions here.
    pub(super) fn kept(&self) -> &[usize] {
        &self.kept
    }

    /// Where a key is packed, if the mask leaves it.
    pub(super) fn position(&self, key: usize) -> Option<usize> {
        self.kept.binary_search(&key).ok()
    }

    /// How many of the packed keys `query` may use: the first ones.
    pub(super) fn limit(&self, query: usize) -> usize {
        if self.causal { self.kept.partition_point(|&key| key <= query) } else { self.kept.len() }
    }

    /// The queries that may use none: they attend evenly to all keys, packed or not.
    pub(super) fn even(&self, queries: usize) -> std::ops::Range<usize> {
        // The limit rises with the query, so these are the first ones.
        let end = match self.kept.first() {
            None => queries,
            Some(&first) if self.causal => first.min(queries),
            Some(_) => 0,
        };
        0..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_and_causal_keys() {
        let keep = [false, false, true, false, true];
        let usable = UsableKeys::new(5, Some(&keep), true);
        assert_eq!(usable.kept(), [2, 4]);
        assert_eq!([0, 2, 3, 4, 9].map(|query| usable.limit(query)), [0, 1, 1, 2, 2]);
        assert_eq!((usable.position(4), usable.position(3)), (Some(1), None));
        assert_eq!((usable.even(7), usable.even(1)), (0..2, 0..1));
        let usable = UsableKeys::new(5, Some(&keep), false);
        assert_eq!((usable.limit(0), usable.even(7)), (2, 0..0));
        assert_eq!(UsableKeys::new(2, Some(&[false; 2]), false).even(7), 0..7);
        assert_eq!(UsableKeys::new(3, None, true).even(7), 0..0);
    }
}
