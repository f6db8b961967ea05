//! A value for each key, made when it is first asked for.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Values by key. A thread that asks for a value that is being made waits for it; one that asks for
/// another does not.
#[derive(Debug)]
pub struct OncePerKey<K, V>(Mutex<HashMap<K, Slot<V>>>);

type Slot<V> = Arc<Mutex<Option<Arc<V>>>>;

impl<K, V> Default for OncePerKey<K, V> {
    fn default() -> Self {
        OncePerKey(Mutex::default())
    }
}

impl<K: Eq + Hash, V> OncePerKey<K, V> {
    /// The value of `key`, from `make` if there is none yet.
    ///
    /// # Errors
    ///
    /// That of `make`. It is not remembered: the next call tries again.
    pub fn get<E>(&self, key: K, make: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, E> {
        let slot = Arc::clone(lock(&self.0).entry(key).or_default());
        let mut value = lock(&slot);
        if let Some(made) = &*value {
            return Ok(Arc::clone(made));
        }
        let made = Arc::new(make()?);
        *value = Some(Arc::clone(&made));
        Ok(made)
    }
}

/// Locks, even after a panic under the lock: entries are inserted only when they are complete, so
/// what a panic leaves behind is whole.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn a_value_is_made_once() {
        let values = OncePerKey::default();
        assert_eq!(values.get(1, || Err("not yet")), Err("not yet"));
        assert_eq!(values.get(1, || Ok::<_, ()>("made")), Ok(Arc::new("made")));
        assert_eq!(values.get(1, || Err("asked twice")), Ok(Arc::new("made")));
        assert_eq!(values.get(2, || Ok::<_, ()>("two")), Ok(Arc::new("two")));
    }

    #[test]
    fn nobody_waits_for_the_value_of_another_key() {
        let values = OncePerKey::default();
        let (begun, wait_until_begun) = mpsc::channel();
        let (finish, wait_until_told) = mpsc::channel::<()>();
        let values = &values;
        thread::scope(|scope| {
            let slow = scope.spawn(move || {
                values.get(1, || {
                    begun.send(()).unwrap();
                    wait_until_told.recv()?;
                    Ok::<_, mpsc::RecvError>("slow")
                })
            });
            wait_until_begun.recv().unwrap();
            assert_eq!(
                values.get(2, || Ok::<_, ()>("quick")),
                Ok(Arc::new("quick"))
            );
            finish.send(()).unwrap();
            assert_eq!(slow.join().unwrap(), Ok(Arc::new("slow")));
        });
    }

    #[test]
    fn a_panic_while_one_is_made_is_not_the_end() {
        let values = OncePerKey::default();
        let panicked = thread::scope(|scope| {
            let making = || values.get(1, || -> Result<&str, ()> { panic!("while it is made") });
            scope.spawn(making).join().is_err()
        });
        assert!(panicked);
        assert_eq!(values.get(1, || Ok::<_, ()>("made")), Ok(Arc::new("made")));
    }
}
