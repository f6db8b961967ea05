//! A thread that ends the program when the GPU takes too long, and says for what.

use std::io::{Write, stdout};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::findings::Findings;

/// How often the thread looks.
const PERIOD: Duration = Duration::from_millis(100);

/// Looks at one case at a time.
#[derive(Debug)]
pub struct Watchdog {
    watched: Arc<Mutex<Option<Watched>>>,
}

#[derive(Debug)]
struct Watched {
    what: String,
    since: Instant,
}

/// While this lives, the GPU is at work for a case.
#[derive(Debug)]
#[must_use]
pub struct Watch<'a>(&'a Watchdog);

impl Watchdog {
    /// Starts the thread. It lists the findings when it ends the program.
    pub fn start(patience: Duration, findings: Findings) -> Self {
        let watched = Arc::new(Mutex::new(None::<Watched>));
        let watchdog = Watchdog {
            watched: Arc::clone(&watched),
        };
        thread::spawn(move || {
            loop {
                thread::sleep(PERIOD);
                if let Some(Watched { what, since }) = &*lock(&watched)
                    && since.elapsed() > patience
                {
                    findings.add(format!(
                        "{what}: HANGS: the GPU has not ended it in {} s",
                        patience.as_secs()
                    ));
                    println!();
                    findings.list();
                    println!("HANGS: go on behind it with --after '{what}'");
                    end();
                }
            }
        });
        watchdog
    }

    /// From now on the GPU works for the case of this name.
    pub fn watch(&self, what: &str) -> Watch<'_> {
        *lock(&self.watched) = Some(Watched {
            what: what.to_owned(),
            since: Instant::now(),
        });
        Watch(self)
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        *lock(&self.0.watched) = None;
    }
}

/// Ends the program at once: the driver's own exit handlers would wait for the kernel that does not
/// end.
fn end() -> ! {
    // If this cannot be written, nothing else can.
    let _ = stdout().flush();
    // SAFETY: takes a number and does not return.
    unsafe { libc::_exit(1) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
