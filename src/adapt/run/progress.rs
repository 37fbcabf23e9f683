//! What a person sees of a run, on standard error: two bars on a terminal; elsewhere a line at each validation, and one each half minute.

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use std::{
    io::{IsTerminal, stderr},
    time::{Duration, Instant},
};

const BETWEEN_LINES: Duration = Duration::from_secs(30);
/// The shown loss keeps so much of what it was at each step.
const KEEP: f64 = 0.9;

pub(crate) struct Progress {
    bars: Option<(ProgressBar, ProgressBar)>,
    steps: u64,
    steps_per_epoch: u64,
    /// The step that this process began with, and when.
    began: (u64, Instant),
    spoken: Instant,
    loss: Option<f64>,
    learning_rate: f64,
    pck: Option<f64>,
}

impl Progress {
    pub fn new(step: u64, steps: u64, steps_per_epoch: u64, pck: Option<f64>) -> Progress {
        let now = Instant::now();
        let bars = stderr().is_terminal().then(|| bars(step, steps, steps_per_epoch));
        let (began, spoken) = ((step, now), now);
        Progress { bars, steps, steps_per_epoch, began, spoken, loss: None, learning_rate: 0.0, pck }
    }

    /// After a step; `step` are done.
    pub fn step(&mut self, step: u64, loss: f64, learning_rate: f64) {
        self.loss = Some(self.loss.map_or(loss, |shown| KEEP * shown + (1.0 - KEEP) * loss));
        self.learning_rate = learning_rate;
        if let Some((epoch, all)) = &self.bars {
            epoch.set_prefix(format!("epoch {}", step.div_ceil(self.steps_per_epoch)));
            epoch.set_position((step - 1) % self.steps_per_epoch + 1);
            all.set_position(step);
            all.set_message(self.figures());
        } else if self.spoken.elapsed() >= BETWEEN_LINES {
            self.speak(step);
        }
    }

    /// After a validation; `step` are done.
    pub fn validation(&mut self, step: u64, pck: f64, best: bool) {
        self.pck = Some(pck);
        match &self.bars {
            Some((_, all)) => {
                all.println(format!(
                    "step {step}: PCK {:.1} %{}",
                    100.0 * pck,
                    if best { ", the best so far" } else { "" }
                ));
                all.set_message(self.figures());
            }
            None => self.speak(step),
        }
    }

    fn speak(&mut self, step: u64) {
        self.spoken = Instant::now();
        let done = (step - self.began.0).max(1) as f64;
        let left = self.began.1.elapsed().mul_f64((self.steps - step) as f64 / done);
        eprintln!("step {step} of {}, {}, {} left", self.steps, self.figures(), HumanDuration(left));
    }

    fn figures(&self) -> String {
        let loss = self.loss.map_or("loss –".to_owned(), |loss| format!("loss {loss:.4}"));
        let pck = self.pck.map_or(String::new(), |pck| format!(", PCK {:.1} %", 100.0 * pck));
        format!("{loss}, learning rate {:.2e}{pck}", self.learning_rate)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((epoch, all)) = &self.bars {
            epoch.finish_and_clear();
            all.abandon();
        }
    }
}

fn bars(step: u64, steps: u64, steps_per_epoch: u64) -> (ProgressBar, ProgressBar) {
    // A template that did not parse would show indicatif's own style.
    let style = |template| ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let all = MultiProgress::new();
    let epoch = ProgressBar::new(steps_per_epoch).with_style(style("{prefix} {wide_bar} {pos} of {len}"));
    let run = ProgressBar::new(steps).with_style(style("{msg}\nstep {pos} of {len} {wide_bar} {eta} left"));
    let (epoch, run) = (all.add(epoch), all.add(run));
    // the steps of an earlier process took none of this one's time
    run.set_position(step);
    run.reset_eta();
    (epoch, run)
}
