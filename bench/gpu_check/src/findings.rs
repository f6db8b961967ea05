//! What went wrong so far.

use std::sync::{Arc, Mutex, PoisonError};

/// Sentences, shared with the watchdog.
#[derive(Clone, Debug, Default)]
pub struct Findings(Arc<Mutex<Vec<String>>>);

impl Findings {
    /// One more.
    pub fn add(&self, finding: String) {
        self.with(|findings| findings.push(finding));
    }

    /// Did all go well?
    pub fn is_empty(&self) -> bool {
        self.with(|findings| findings.is_empty())
    }

    /// Prints the beginning of each: some contain a whole answer.
    pub fn list(&self) {
        self.with(|findings| {
            println!("FAILED, for {} reasons:", findings.len());
            for finding in findings {
                println!("  {finding:.300}");
            }
        });
    }

    fn with<V>(&self, look: impl FnOnce(&mut Vec<String>) -> V) -> V {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
