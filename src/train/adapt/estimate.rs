//! What a run would take, found by trying one step of it.

use super::{AdaptArgs, Settings};
use crate::{
    Error,
    progress::megabytes,
    training::{
        graph::{Design, TrainingGraph},
        objective,
        step::{Input, Step},
    },
    verify::peak_rss_mib,
};
use homolog_adapt::{
    Batch, BatchPair, PointPair,
    data::{Order, TokenSpec, free_space},
};
use homolog_backbone::Weights;
use homolog_core::geometry::Point;
use homolog_eval::Dataset;
use std::{
    path::{Path, PathBuf},
    time::Instant,
};

/// Points of a pair, about as many as benchmarks have.
const POINTS: usize = 10;

/// What is looked at.
pub struct Planned<'a> {
    /// What was asked for.
    pub settings: &'a Settings,
    /// What is trained.
    pub design: &'a Design<'a>,
    /// The network's weights.
    pub weights: &'a Weights<'a>,
    /// The batches.
    pub order: &'a Order,
    /// Tokens of the frozen blocks.
    pub spec: &'a TokenSpec,
    /// The validation pairs.
    pub validation: &'a Dataset,
    /// The share of low-rank matrices' inputs that is left out.
    pub dropout: f32,
}

impl Planned<'_> {
    /// Prints what the run would train and take. Writes nothing that stays.
    ///
    /// # Errors
    /// Whatever emitting the graph into a temporary folder, running a step and looking at the disk meet.
    pub fn print(&self, arguments: &AdaptArgs) -> Result<(), Error> {
        let Planned { settings, spec, order, .. } = *self;
        let folder = Temporary::new()?;
        let graph = TrainingGraph::write(&folder.0, self.weights, self.design)?;
        let trained: usize = graph.parameters.iter().map(|(_, tensor)| tensor.data.len()).sum();
        println!(
            "trained           {trained} parameters in {} tensors, {} of AdamW's moments",
            graph.parameters.len(),
            megabytes(trained as u64 * 8)
        );
        let samples = order.samples();
        let views = samples.views(settings.data.flip > 0.0);
        let named = || views.iter().map(|view| -> (&Path, bool) { (samples.path(view.image), view.flipped) });
        let cost = spec.cost(&arguments.token_cache, named())?;
        println!("frozen            {} blocks, once for each of {} views", spec.blocks, cost.present + cost.missing);
        println!(
            "token cache       {} a view, {} there, {} to be computed: {}; free: {}",
            megabytes(cost.each),
            cost.present,
            cost.missing,
            megabytes(cost.each * cost.missing as u64),
            free_space(&arguments.token_cache).map_or("unknown".into(), megabytes)
        );
        let passes = order.passes(0);
        println!(
            "an epoch          {} pairs in {} steps, {} passes of an image: {:.1} times fewer than two for each pair",
            passes.pairs,
            order.steps_per_epoch(),
            passes.images,
            passes.ratio()
        );
        println!("validation        {} pairs of {} images", self.validation.pairs.len(), self.validation.images.len());
        let (seconds, images) = self.try_step(arguments, graph)?;
        let steps = settings.training.steps(order.steps_per_epoch());
        let per_step = passes.images as f64 / order.steps_per_epoch().max(1) as f64;
        println!(
            "time              {seconds:.2} s for {images} images; {steps} steps of {per_step:.1} images: about {:.0} min, frozen tokens \
             and validation aside",
            seconds / images as f64 * per_step * steps as f64 / 60.0
        );
        let memory = peak_rss_mib().map_or("unknown".into(), |mebibytes| megabytes(mebibytes << 20));
        println!("memory            {memory} at most while that step was tried");
        Ok(())
    }

    /// Seconds that a whole batch takes, and its images. Its tokens are zeros, which take as long as any.
    fn try_step(&self, arguments: &AdaptArgs, graph: TrainingGraph) -> Result<(f64, usize), Error> {
        let Planned { settings, spec, design, .. } = *self;
        let images = settings.data.images_per_batch.max(2);
        let centre = Point::new(design.grid.width as f64 / 2.0, design.grid.height as f64 / 2.0);
        let pair = |index: usize| BatchPair {
            source: index % images,
            target: (index + 1) % images,
            points: vec![PointPair { source: centre, target: centre }; POINTS],
            weight: (settings.data.pairs_per_batch.max(1) as f32).recip(),
        };
        let batch = Batch {
            images,
            inputs: vec![0.1; images * spec.shape.iter().product::<usize>()],
            grid: design.grid,
            pairs: (0..settings.data.pairs_per_batch.max(1)).map(pair).collect(),
            classes: Vec::new(),
        };
        let parameters = objective::parameters(&graph.parameters);
        let losses = design.losses.clone();
        let mut step = Step::load(graph, losses, Input::Tokens, self.dropout, arguments.provider, arguments.threads)?;
        // The first run plans memory.
        step.run(&parameters, &batch, 0)?;
        let begun = Instant::now();
        step.run(&parameters, &batch, 0)?;
        Ok((begun.elapsed().as_secs_f64() * settings.data.accumulation.max(1) as f64, images))
    }
}

/// A folder that is removed when it is dropped.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Result<Temporary, Error> {
        let folder = std::env::temp_dir().join(format!("homolog-dry-run-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        Ok(Temporary(folder))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What is left of a dry run in a temporary folder harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
