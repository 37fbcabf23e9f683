//! Images that were found in a store which is this process' alone: until something is taken out of it, they are there, and a request that
//! names one asks no database.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// As many are remembered; they are looked up again when there are more.
const MOST: usize = 1 << 16;

/// The ids of such images.
#[derive(Debug, Default)]
pub struct Seen(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    ids: HashSet<String>,
    /// How often something was taken out.
    losses: u64,
}

impl Seen {
    /// Whether it was found, and is there still.
    pub fn has(&self, id: &str) -> bool {
        self.lock().ids.contains(id)
    }

    /// To be asked before one is looked for.
    pub fn losses(&self) -> u64 {
        self.lock().losses
    }

    /// One was found; what was taken out since it was looked for may be this one.
    pub fn found(&self, id: &str, losses: u64) {
        let mut state = self.lock();
        if state.losses == losses {
            if state.ids.len() >= MOST {
                state.ids.clear();
            }
            state.ids.insert(id.to_owned());
        }
    }

    /// Something was taken out.
    pub fn lost(&self) {
        let mut state = self.lock();
        state.losses += 1;
        state.ids.clear();
    }

    /// What a panic leaves behind is at worst a set that is too small.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Seen;

    #[test]
    fn what_was_taken_out_while_it_was_looked_for_is_not_remembered() {
        let seen = Seen::default();
        seen.found("a", seen.losses());
        assert!(seen.has("a") && !seen.has("b"));
        let before = seen.losses();
        seen.lost();
        assert!(!seen.has("a"));
        seen.found("a", before);
        assert!(!seen.has("a"));
        seen.found("a", seen.losses());
        assert!(seen.has("a"));
    }
}
