//! The parts that the images of a dataset show, as they lie and mirrored.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use homolog_core::geometry::{Fit, FitMode, Grid, Point};
use homolog_eval::Dataset;
use homolog_eval::dataset::{Category, Image};

use crate::{Error, PointPair};

/// Annotations of one part of one image that are further apart than this, px, contradict each other.
const APART: f64 = 1.0;

/// An image as the network sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct View {
    /// Index in the dataset's images.
    pub image: usize,
    /// Whether left and right are exchanged.
    pub flipped: bool,
}

/// A dataset as training sees it: each image once with all the parts that are known of it, and the pairs among the images of
/// each category.
#[derive(Clone, Debug)]
pub struct Samples {
    images: Vec<(Image, Fit)>,
    grid: Grid,
    groups: Vec<Group>,
    outside: usize,
    without_points: usize,
}

/// A category's images and the pairs among them. Parts are numbered.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    name: String,
    parts: Vec<String>,
    /// The part that each part looks like in the mirror; none if left and right are not known.
    mirror: Option<Vec<usize>>,
    /// What is visible where, px, by the image's index in the dataset.
    points: HashMap<usize, BTreeMap<usize, Point>>,
    pub pairs: Vec<SamplePair>,
}

/// A listed pair.
#[derive(Clone, Debug)]
pub(super) struct SamplePair {
    /// Index in the dataset's pairs.
    pub index: usize,
    /// Index of an image.
    pub source: usize,
    /// Index of an image.
    pub target: usize,
    parts: Vec<usize>,
}

impl Samples {
    /// The samples of a dataset whose images are brought to `resolution` px and cut into patches of `patch` px.
    ///
    /// An image shows what any pair says of it, its `target_visible` included. A part that is annotated beyond the image's edges is
    /// left out and counted (there is nothing, or filling, that could be learned from), as is a pair that has no other.
    ///
    /// # Errors
    /// [`Error::Setting`] for [`FitMode::Aspect`], which gives images grids of their own, or a resolution that is no multiple of
    /// the patch; [`Error::Annotations`] if two pairs put a part of an image at places more than a pixel apart.
    pub fn new(dataset: &Dataset, fit: FitMode, resolution: u32, patch: u32) -> Result<Samples, Error> {
        if fit == FitMode::Aspect {
            let reason =
                "aspect gives every image a grid of its own, and a batch has one: squash, letterbox or pad".into();
            return Err(Error::Setting { field: "fit", reason });
        }
        let fitted = dataset.images.iter().map(|image| {
            let fit = Fit::new(fit, image.size, resolution, patch)
                .map_err(|error| Error::Setting { field: "resolution", reason: error.to_string() })?;
            Ok((image.clone(), fit))
        });
        let images: Vec<(Image, Fit)> = fitted.collect::<Result<_, Error>>()?;
        let side = (resolution / patch) as usize;
        let mut samples =
            Samples { images, grid: Grid::new(side, side), groups: Vec::new(), outside: 0, without_points: 0 };
        samples.groups = dataset.categories.iter().map(|category| Group::new(&category.name)).collect();
        for pair in &dataset.pairs {
            let group = &mut samples.groups[pair.category];
            for keypoint in &pair.keypoints {
                group.place(pair.source, &keypoint.id, keypoint.source, &samples.images)?;
                group.place(pair.target, &keypoint.id, keypoint.target, &samples.images)?;
            }
            for (id, point) in pair.target_visible.iter().flat_map(|visible| visible.iter()) {
                group.place(pair.target, id, *point, &samples.images)?;
            }
        }
        for (group, category) in samples.groups.iter_mut().zip(&dataset.categories) {
            group.learn_mirror(category);
            samples.outside += group.drop_outside(&samples.images);
        }
        for (index, pair) in dataset.pairs.iter().enumerate() {
            let group = &mut samples.groups[pair.category];
            let known = |image| group.points.get(&image);
            let both = |part: &usize| {
                [pair.source, pair.target]
                    .iter()
                    .all(|&image| known(image).is_some_and(|points| points.contains_key(part)))
            };
            let parts: Vec<usize> =
                pair.keypoints.iter().filter_map(|keypoint| group.part(&keypoint.id)).filter(both).collect();
            if parts.is_empty() {
                samples.without_points += 1;
            } else {
                group.pairs.push(SamplePair { index, source: pair.source, target: pair.target, parts });
            }
        }
        Ok(samples)
    }

    /// Rows and columns of tokens, the same for every image.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// How many pairs there are to train on.
    pub fn pairs(&self) -> usize {
        self.groups.iter().map(|group| group.pairs.len()).sum()
    }

    /// Annotated parts that lie beyond the edges of their image and were left out, each once.
    pub fn outside(&self) -> usize {
        self.outside
    }

    /// Listed pairs that were left out because nothing else was annotated.
    pub fn without_points(&self) -> usize {
        self.without_points
    }

    /// The categories' names and numbers of pairs.
    pub fn categories(&self) -> impl ExactSizeIterator<Item = (&str, usize)> {
        self.groups.iter().map(|group| (group.name.as_str(), group.pairs.len()))
    }

    /// The file of an image.
    pub fn path(&self, image: usize) -> &Path {
        &self.images[image].0.path
    }

    /// Every view that training can ask for, in the order of the images: those that a pair uses, and with `flips` their mirror images
    /// where left and right are known.
    pub fn views(&self, flips: bool) -> Vec<View> {
        let mut views = Vec::new();
        for group in &self.groups {
            for image in group.pairs.iter().flat_map(|pair| [pair.source, pair.target]) {
                views.push(View { image, flipped: false });
                if flips && group.flips() {
                    views.push(View { image, flipped: true });
                }
            }
        }
        views.sort_unstable();
        views.dedup();
        views
    }

    /// What a view shows of the objects of a category: ids and places in token units, by the order in which the ids first appeared.
    ///
    /// In the mirror a part is at width − x and is called what it looks like there: the left eye, the right one.
    pub fn shown(&self, category: usize, view: View) -> Vec<(&str, Point)> {
        let group = &self.groups[category];
        group
            .shown(view, &self.images[view.image].1)
            .into_iter()
            .map(|(part, point)| (group.parts[part].as_str(), point))
            .collect()
    }

    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The points that two views of a pair's images have in common, in token units; none is possible where one is flipped.
    pub(super) fn common(&self, group: &Group, pair: &SamplePair, source: View, target: View) -> Vec<PointPair> {
        let shown = |view: View| group.shown(view, &self.images[view.image].1);
        let (source_points, target_points) = (shown(source), shown(target));
        let listed = |part: &usize| match (source.flipped, target.flipped) {
            (false, false) => pair.parts.contains(part),
            // parts change names together, and the list stays as it is
            (true, true) => pair.parts.contains(&group.mirrored(*part)),
            _ => true,
        };
        let common = source_points.iter().filter(|(part, _)| listed(part));
        common.filter_map(|(part, &source)| Some(PointPair { source, target: *target_points.get(part)? })).collect()
    }
}

impl Group {
    fn new(name: &str) -> Group {
        Group { name: name.to_owned(), ..Group::default() }
    }

    /// Whether an image can be mirrored.
    pub fn flips(&self) -> bool {
        self.mirror.is_some()
    }

    fn part(&self, id: &str) -> Option<usize> {
        self.parts.iter().position(|part| part == id)
    }

    /// The number of this id, a new one if it has none: a category has a few dozen.
    fn number(&mut self, id: &str) -> usize {
        self.part(id).unwrap_or_else(|| {
            self.parts.push(id.to_owned());
            self.parts.len() - 1
        })
    }

    fn place(&mut self, image: usize, id: &str, point: Point, images: &[(Image, Fit)]) -> Result<(), Error> {
        let part = self.number(id);
        let known = *self.points.entry(image).or_default().entry(part).or_insert(point);
        if known.distance(point) <= APART {
            return Ok(());
        }
        let reason = format!(
            "one pair has keypoint {id} at ({}, {}) and another at ({}, {}): its pairs do not mean the same part by it",
            known.x, known.y, point.x, point.y
        );
        Err(Error::Annotations { image: images[image].0.path.clone(), reason })
    }

    fn learn_mirror(&mut self, category: &Category) {
        let Some(symmetry) = &category.symmetry else { return };
        for part in 0..self.parts.len() {
            if let Some(partner) = symmetry.partner(&self.parts[part]) {
                self.number(partner);
            }
        }
        let mirrored = |id: &String| self.part(symmetry.partner(id).unwrap_or(id));
        self.mirror = self.parts.iter().map(mirrored).collect();
    }

    fn mirrored(&self, part: usize) -> usize {
        self.mirror.as_ref().map_or(part, |mirror| mirror[part])
    }

    fn drop_outside(&mut self, images: &[(Image, Fit)]) -> usize {
        let mut dropped = 0;
        for (&image, points) in &mut self.points {
            let before = points.len();
            points.retain(|_, point| *point == point.clamped_to(images[image].0.size));
            dropped += before - points.len();
        }
        dropped
    }

    fn shown(&self, view: View, fit: &Fit) -> BTreeMap<usize, Point> {
        let width = f64::from(fit.image().width);
        let seen = |(&part, &Point { x, y }): (&usize, &Point)| match view.flipped {
            false => (part, fit.to_token(Point::new(x, y))),
            true => (self.mirrored(part), fit.to_token(Point::new(width - x, y))),
        };
        self.points.get(&view.image).into_iter().flatten().map(seen).collect()
    }
}
