//! Reads of policies that are under way.
//!
//! When a server starts under load, many ask for the same policy before it is remembered. The first of them reads it; the
//! others wait for the end of that, once, and look whether it is remembered then. Nobody is answered with what a read
//! found that began before: what has changed meanwhile is not remembered.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jwtlet_core::mapping::MappingKey;
use tokio::sync::{Notify, futures::OwnedNotified};

/// What is read at the moment.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    under_way: Mutex<HashMap<MappingKey, Arc<Notify>>>,
}

/// A read that is under way until this is dropped.
pub(crate) struct Reading<'a> {
    readings: &'a Readings,
    key: &'a MappingKey,
}

impl Readings {
    /// Begins to read, unless somebody else does already.
    ///
    /// # Errors
    /// The end of the other read.
    pub(crate) fn begin<'a>(&'a self, key: &'a MappingKey) -> Result<Reading<'a>, OwnedNotified> {
        let mut under_way = self.lock();
        if let Some(other) = under_way.get(key) {
            return Err(Arc::clone(other).notified_owned());
        }
        under_way.insert(key.clone(), Arc::default());
        Ok(Reading { readings: self, key })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<MappingKey, Arc<Notify>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let ended = self.readings.lock().remove(self.key);
        if let Some(ended) = ended {
            ended.notify_waiters();
        }
    }
}
