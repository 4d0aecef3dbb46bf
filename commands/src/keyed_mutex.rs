//! A mutex per key: of equal requests that arrive at once, one is executed and the others wait for it,
//! so that fifty repeats don't allocate fifty numbers and raise fifty alarms.
//!
//! It saves work within the process and decides nothing: across processes the receipts do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use uuid::Uuid;

/// One mutex for each key that is in use.
#[derive(Default)]
pub(crate) struct KeyedMutex(Mutex<HashMap<Uuid, Weak<AsyncMutex<()>>>>);

impl KeyedMutex {
    /// Waits until no other caller holds this key.
    pub(crate) async fn lock(&self, key: Uuid) -> OwnedMutexGuard<()> {
        let mutex = self.mutex(key);
        mutex.lock_owned().await
    }

    fn mutex(&self, key: Uuid) -> Arc<AsyncMutex<()>> {
        let mut mutexes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mutex) = mutexes.get(&key).and_then(Weak::upgrade) {
            return mutex;
        }
        // Keys that are no longer in use are removed when the map would grow for a new one.
        if mutexes.len() == mutexes.capacity() {
            mutexes.retain(|_, mutex| mutex.strong_count() > 0);
        }
        let mutex = Arc::default();
        mutexes.insert(key, Arc::downgrade(&mutex));
        mutex
    }
}
