//! Several subjects in one picture: each image attention works where its own token is
//! looked for.

use diffusion::unet::{Processor, Site};
use engine::Tensor;

use super::{Vico, inject::Inject, mask::otsu};
use crate::Reference;

/// A further subject of a picture, whose word was taught to tokenizer and text encoder.
#[derive(Clone, Copy)]
pub struct Other<'a> {
    /// What was learned of it.
    pub vico: &'a Vico,
    /// Its reference photos, at least one.
    pub references: &'a [Reference],
    /// Where its word stands in the prompt.
    pub position: usize,
}

/// Lets the noisy stream read from several subjects' references.
///
/// The noisy stream's own text attention says where: a patch belongs to the subject
/// whose token's map, brought to 0..1, is the largest there, among those whose Otsu
/// mask holds the patch; to none if there is none.
pub struct Several<'a> {
    subjects: Vec<Inject<'a>>,
    branches: usize,
    columns: Vec<Vec<usize>>,
}

impl<'a> Several<'a> {
    /// For subjects with the positions of their tokens; the batch holds `pictures` rows
    /// for each of `branches`, of which the last is the conditional one and says where.
    pub fn new(
        subjects: Vec<Inject<'a>>,
        positions: &[usize],
        branches: usize,
        pictures: usize,
    ) -> Self {
        let columns = vec![positions.to_vec(); branches * pictures];
        Self { subjects, branches, columns }
    }

    /// Ones where a subject's image attention works, `[rows, n, 1]` for each.
    fn regions(&self, maps: &Tensor<3>) -> Vec<Tensor<3>> {
        let [rows, subjects, n] = maps.dims();
        let pictures = rows / self.branches;
        let conditional = maps.clone().narrow(0, rows - pictures, pictures);
        let owners: Vec<Option<usize>> = engine::values(conditional)
            .chunks(subjects * n)
            .flat_map(|maps| owners(&maps.chunks(n).collect::<Vec<_>>()))
            .collect();
        let region = |subject: usize| {
            let ones: Vec<f32> = owners.iter().map(|o| f32::from(*o == Some(subject))).collect();
            engine::tensor(ones, [pictures, n, 1], &maps.device()).repeat_dim(0, self.branches)
        };
        (0..subjects).map(region).collect()
    }
}

/// The subject that each patch of one picture belongs to, from the subjects' maps.
fn owners(maps: &[&[f32]]) -> Vec<Option<usize>> {
    let masks: Vec<_> = maps.iter().map(|map| otsu(map)).collect();
    let owner = |patch: usize| {
        // A map without contrast is not a number: it gives way to any other.
        let wish = |subject: usize| masks[subject].scaled[patch].max(0.0);
        let wanting = (0..masks.len()).filter(|&subject| masks[subject].keep[patch]);
        // Of equals the first has it.
        wanting.reduce(|a, b| if wish(b) > wish(a) { b } else { a })
    };
    (0..maps[0].len()).map(owner).collect()
}

impl Processor for Several<'_> {
    fn columns(&self, site: &Site) -> Option<&[Vec<usize>]> {
        let carried = |subject: &Inject| subject.blocks.contains_key(&site.index);
        self.subjects.iter().any(carried).then_some(&self.columns)
    }

    fn after_block(
        &mut self,
        site: &Site,
        tokens: Tensor<3>,
        maps: Option<Tensor<3>>,
    ) -> Tensor<3> {
        let Some(maps) = maps else { return tokens };
        let regions = self.regions(&maps);
        let change = |(subject, region): (&mut Inject, Tensor<3>)| {
            (subject.after_block(site, tokens.clone(), None) - tokens.clone()) * region
        };
        let changes = self.subjects.iter_mut().zip(regions).map(change);
        changes.fold(tokens.clone(), |sum, change| sum + change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_belongs_to_the_subject_that_looks_there_most() {
        let first = [0.9, 0.8, 0.1, 0.0, 0.7];
        let second = [0.0, 0.1, 0.0, 0.5, 0.5];
        let owners = owners(&[&first, &second]);
        assert_eq!(owners, [Some(0), Some(0), None, Some(1), Some(1)]);
    }

    #[test]
    fn a_map_without_contrast_gives_way() {
        let owners = owners(&[&[0.5; 3], &[0.0, 1.0, 0.0]]);
        assert_eq!(owners, [Some(0), Some(1), Some(0)]);
    }
}
