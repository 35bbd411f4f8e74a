//! Adding up what the tasks left for keys and values.

use rayon::prelude::*;

use crate::attention::keys::UsableKeys;
use crate::attention::shape::Attention;

/// Rows that are not worth a task of their own.
const LEAST_ROWS: usize = 16;

/// Sums the parts of each head, scales the gradient to the keys, and adds what
/// queries without a usable key give to all values.
///
/// # Shapes
/// `partial [key_batch][heads][splits][2][keys][padded width]` with the usable keys
/// in front, `dk, dv [key_batch, keys, channels]`
pub(super) fn gather(
    how: &Attention<'_>,
    usable: &[UsableKeys],
    partial: &[f32],
    splits: usize,
    dout: &[f32],
    dk: &mut [f32],
    dv: &mut [f32],
) {
    let channels = how.channels();
    let even: Vec<_> = (0..how.key_batch).map(|i| even_share(how, &usable[i], i, dout)).collect();
    let matrix = how.keys * how.padded_width();
    let rows = dk.par_chunks_exact_mut(channels).zip(dv.par_chunks_exact_mut(channels));
    rows.enumerate().with_min_len(LEAST_ROWS).for_each(|(i, (dk, dv))| {
        let (key_row, key) = (i / how.keys, i % how.keys);
        dk.fill(0.0);
        dv.copy_from_slice(&even[key_row]);
        let Some(position) = usable[key_row].position(key) else { return };
        let heads = dk.chunks_exact_mut(how.width).zip(dv.chunks_exact_mut(how.width));
        for (head, (dk, dv)) in heads.enumerate() {
            let first = (key_row * how.heads + head) * splits;
            for part in first..first + splits {
                let sums = &partial[2 * part * matrix + position * how.padded_width()..];
                add(dk, sums);
                add(dv, &sums[matrix..]);
            }
            dk.iter_mut().for_each(|sum| *sum *= how.score_scale());
        }
    });
}

fn add(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}

/// What the queries that attend evenly give to each value of one row of keys.
fn even_share(how: &Attention<'_>, usable: &UsableKeys, key_row: usize, dout: &[f32]) -> Vec<f32> {
    let channels = how.channels();
    let mut sums = vec![0.0; channels];
    for row in key_row * how.share()..(key_row + 1) * how.share() {
        let dout = &dout[row * how.queries * channels..];
        for query in usable.even(how.queries) {
            let dout = &dout[query * channels..][..channels];
            sums.iter_mut().zip(dout).for_each(|(sum, &d)| *sum += f64::from(d));
        }
    }
    sums.into_iter().map(|sum: f64| (sum / how.keys as f64) as f32).collect()
}
