//! What the model card of the encoders reports, by the evaluation's own code.

use std::fmt;

use engine::rng::TorchRng;
use evaluate::Encoder;
use images::Picture;
use rayon::prelude::*;
use toyworld::{Scene, World};

use crate::{Result, data, score::to_picture};

/// How well captions and pictures of all trained objects in all scenes are matched.
pub struct ClipMarks {
    /// Share of pictures whose nearest caption names the right object.
    pub object: f64,
    /// The right scene.
    pub scene: f64,
    /// Both.
    pub both: f64,
    /// Share of captions whose nearest picture is theirs.
    pub picture: f64,
    /// Share of pictures whose object is right among captions that leave the scene out.
    pub alone: f64,
    /// Number of pictures, and of captions.
    pub count: usize,
}

impl fmt::Display for ClipMarks {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let [object, scene, both, picture, alone] =
            [self.object, self.scene, self.both, self.picture, self.alone].map(|x| 100.0 * x);
        write!(
            f,
            "of {} captions the nearest has the right object {object:.1} %, scene {scene:.1} %, \
             both {both:.1} %; without a scene, object {alone:.1} %; of as many pictures the \
             nearest is right {picture:.1} %",
            self.count
        )
    }
}

/// Shows an encoder each trained object in each scene once.
pub fn clip(world: &World, encoder: &Encoder, side: usize) -> Result<ClipMarks> {
    let objects: Vec<usize> = world.trained().collect();
    let count = objects.len() * Scene::ALL.len();
    let pair = |i: usize| (objects[i % objects.len()], Scene::ALL[i / objects.len()]);
    let numbers: Vec<u64> = (0..count as u64).collect();
    let shown = data::render(&numbers, |n| {
        let (object, scene) = pair(n as usize);
        world.plain(object, scene, data::FRESH + n, side)
    });
    let captions: Vec<String> = shown.iter().map(|picture| picture.caption.clone()).collect();
    let bare = |(i, caption): (usize, &String)| {
        caption.trim_end_matches(pair(i).1.phrase()).trim_end().to_owned()
    };
    let names: Vec<String> = captions.iter().enumerate().map(bare).take(objects.len()).collect();
    let pictures: Vec<Picture> = shown.iter().map(|picture| to_picture(picture, side)).collect();
    let pictures = encoder.pictures(&pictures);
    let (captions, names) = (encoder.texts(&captions)?, encoder.texts(&names)?);

    let share = |right: &(dyn Fn(usize) -> bool + Sync)| {
        (0..count).into_par_iter().filter(|&i| right(i)).count() as f64 / count as f64
    };
    let best: Vec<usize> = pictures.par_iter().map(|picture| nearest(picture, &captions)).collect();
    let of = objects.len();
    Ok(ClipMarks {
        object: share(&|i| best[i] % of == i % of),
        scene: share(&|i| best[i] / of == i / of),
        both: share(&|i| best[i] == i),
        picture: share(&|i| nearest(&captions[i], &pictures) == i),
        alone: share(&|i| nearest(&pictures[i], &names) == i % of),
        count,
    })
}

/// Rounds in which each object is seen twice.
const ROUNDS: u64 = 12;

/// How well objects are known again.
pub struct ThingMarks {
    /// Share of pictures whose nearest, among one of each object, shows the same.
    pub nearest: f64,
    /// Mean cosine of two pictures of one object.
    pub same: f64,
    /// Mean cosine of pictures of two objects.
    pub different: f64,
    /// Number of objects.
    pub objects: usize,
    /// Number of pictures.
    pub count: usize,
}

impl fmt::Display for ThingMarks {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { nearest, same, different, objects, count } = self;
        let (nearest, chance) = (100.0 * nearest, 100.0 / *objects as f64);
        write!(
            f,
            "nearest of {objects} objects in other scenes right {nearest:.1} % of {count} (chance \
             {chance:.1} %); mean cosine of the same {same:.3}, of others {different:.3}"
        )
    }
}

/// Shows an encoder each object twice, in two scenes that are drawn, `ROUNDS` times. The
/// scene of the one may be that of another object's other picture, which it must not
/// follow.
pub fn things(world: &World, encoder: &Encoder, objects: &[usize], side: usize) -> ThingMarks {
    let (of, mut right, mut same, mut different) = (objects.len(), 0, 0.0, 0.0);
    for round in 0..ROUNDS {
        let scenes = scenes(round, of);
        let [first, second] = [0, 1].map(|view: u64| {
            let numbers: Vec<u64> = (0..of as u64).collect();
            let shown = data::render(&numbers, |n| {
                let seed = data::FRESH + (2 * round + view) * of as u64 + n;
                world.plain(objects[n as usize], scenes[view as usize][n as usize], seed, side)
            });
            let pictures: Vec<Picture> = shown.iter().map(|p| to_picture(p, side)).collect();
            encoder.pictures(&pictures)
        });
        right += (0..of).filter(|&i| nearest(&second[i], &first) == i).count();
        for (i, a) in first.iter().enumerate() {
            for (j, b) in second.iter().enumerate() {
                *if i == j { &mut same } else { &mut different } += cosine(a, b);
            }
        }
    }
    let count = of * ROUNDS as usize;
    ThingMarks {
        nearest: right as f64 / count as f64,
        same: same / count as f64,
        different: different / (count * (of - 1)) as f64,
        objects: of,
        count,
    }
}

/// Two different scenes for each object.
fn scenes(round: u64, objects: usize) -> [Vec<Scene>; 2] {
    let mut rng = TorchRng::derive(round, "scenes of a round");
    let all = Scene::ALL.len() as i64;
    let first = rng.randint(0, all, objects);
    let steps = rng.randint(1, all, objects);
    let second = first.iter().zip(steps).map(|(a, step)| (a + step) % all).collect();
    [first, second]
        .map(|indices: Vec<i64>| indices.iter().map(|&i| Scene::ALL[i as usize]).collect())
}

/// The row that is most like another.
fn nearest(to: &[f32], rows: &[Vec<f32>]) -> usize {
    let likeness: Vec<f64> = rows.iter().map(|row| cosine(to, row)).collect();
    let best = (0..rows.len()).max_by(|&a, &b| likeness[a].total_cmp(&likeness[b]));
    best.expect("at least one row")
}

/// The cosine of two rows of length 1.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}
