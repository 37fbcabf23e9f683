//! Groups of pairs that share no image: what can be evaluated on several machines without encoding an image twice.

use std::collections::BTreeMap;

use super::Dataset;

impl Dataset {
    /// Cuts pairs (indices into [`Dataset::pairs`]) into groups that have no image in common, each as small as can be: the
    /// connected parts of the graph whose nodes are images. Groups come in the order of their first pair, pairs in the order in
    /// which they were given; an index beyond the dataset is passed over. On SPair-71k a group is a category.
    pub fn groups(&self, pairs: &[usize]) -> Vec<Vec<usize>> {
        let mut parents: Vec<usize> = (0..self.images.len()).collect();
        let known = || pairs.iter().filter_map(|&index| Some((index, self.pairs.get(index)?)));
        for (_, pair) in known() {
            let (one, other) = (root(&mut parents, pair.source), root(&mut parents, pair.target));
            if let Some(parent) = parents.get_mut(other) {
                *parent = one;
            }
        }
        let mut numbers = BTreeMap::new();
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (index, pair) in known() {
            let number = *numbers.entry(root(&mut parents, pair.source)).or_insert(groups.len());
            match groups.get_mut(number) {
                Some(group) => group.push(index),
                None => groups.push(vec![index]),
            }
        }
        groups
    }
}

/// The image that stands for this one's group; paths are halved on the way.
fn root(parents: &mut [usize], mut image: usize) -> usize {
    while let Some(&parent) = parents.get(image)
        && parent != image
    {
        let above = parents.get(parent).copied().unwrap_or(parent);
        if let Some(place) = parents.get_mut(image) {
            *place = above;
        }
        image = above;
    }
    image
}
