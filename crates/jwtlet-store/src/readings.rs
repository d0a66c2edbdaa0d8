//! Reads of policies that are under way.
//!
//! When a server starts under load, many ask for the same policy before it is remembered. The first of them reads it; the
//! others wait for the end of that, and look whether it is remembered then. Nobody is answered with what a read found that
//! began before: what has changed meanwhile is not remembered.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use jwtlet_core::mapping::MappingKey;
use tokio::sync::{Notify, futures::OwnedNotified};

/// What is read at the moment.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    under_way: Mutex<HashMap<MappingKey, UnderWay>>,
}

#[derive(Debug, Default, Clone)]
struct UnderWay {
    ended: Arc<Notify>,
    succeeded: Arc<AtomicBool>,
}

/// A read that is under way until this is dropped.
pub(crate) struct Reading<'a> {
    readings: &'a Readings,
    key: &'a MappingKey,
    succeeded: Arc<AtomicBool>,
}

/// The read of somebody else.
#[derive(Debug)]
pub(crate) struct Other {
    notified: OwnedNotified,
    succeeded: Arc<AtomicBool>,
}

/// How a read has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Succeeded,
    /// It has failed, or whoever made it has left.
    Failed,
}

impl Readings {
    /// Begins to read, unless somebody else does already.
    ///
    /// # Errors
    /// The other read.
    pub(crate) fn begin<'a>(&'a self, key: &'a MappingKey) -> Result<Reading<'a>, Other> {
        let mut under_way = self.lock();
        if let Some(UnderWay { ended, succeeded }) = under_way.get(key).cloned() {
            return Err(Other { notified: ended.notified_owned(), succeeded });
        }
        let new = UnderWay::default();
        under_way.insert(key.clone(), new.clone());
        Ok(Reading { readings: self, key, succeeded: new.succeeded })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<MappingKey, UnderWay>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading<'_> {
    /// Ends it well.
    pub(crate) fn succeeded(self) {
        self.succeeded.store(true, Ordering::Release);
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let under_way = self.readings.lock().remove(self.key);
        if let Some(UnderWay { ended, .. }) = under_way {
            ended.notify_waiters();
        }
    }
}

impl Other {
    /// Waits for its end.
    pub(crate) async fn ended(self) -> Ended {
        self.notified.await;
        if self.succeeded.load(Ordering::Acquire) { Ended::Succeeded } else { Ended::Failed }
    }
}

#[cfg(test)]
mod tests {
    use jwtlet_core::{ClientIdentifier, ParticipantContext};

    use super::*;

    fn key() -> MappingKey {
        MappingKey {
            client_identifier: ClientIdentifier::parse("client").unwrap(),
            participant_context: ParticipantContext::parse("tenant").unwrap(),
        }
    }

    #[tokio::test]
    async fn others_learn_how_a_read_has_ended_also_when_whoever_made_it_has_left() {
        let (readings, key) = (Readings::default(), key());
        let reading = readings.begin(&key).ok().unwrap();
        let (one, two) = (readings.begin(&key).err().unwrap(), readings.begin(&key).err().unwrap());
        reading.succeeded();
        assert_eq!((one.ended().await, two.ended().await), (Ended::Succeeded, Ended::Succeeded));
        let reading = readings.begin(&key).ok().unwrap();
        let other = readings.begin(&key).err().unwrap();
        drop(reading);
        assert_eq!(other.ended().await, Ended::Failed);
        assert!(readings.begin(&key).is_ok());
    }
}
