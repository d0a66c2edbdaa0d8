//! The store of keys. Readers take a snapshot; nothing is locked while a key is made or used.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;

use super::key::{KeyType, TransitKey, Version};
use super::material::Material;
use crate::clock::now;
use crate::error::KeyError;

type Map = HashMap<String, Arc<TransitKey>>;

/// All keys by name.
#[derive(Default)]
pub(in crate::vault) struct Keys {
    keys: RwLock<Map>,
    /// How many RSA keys of each size were taken from the pool of the process.
    rsa_taken: [AtomicUsize; 3],
}

impl Keys {
    fn read(&self) -> RwLockReadGuard<'_, Map> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Map> {
        self.keys.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::vault) fn get(&self, name: &str) -> Option<Arc<TransitKey>> {
        self.read().get(name).cloned()
    }

    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.read().keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// Creates a key unless one of the name exists; tells whether it did create.
    pub(in crate::vault) fn create(
        &self,
        name: &str,
        key_type: KeyType,
        derived: bool,
    ) -> Result<bool, KeyError> {
        if self.read().contains_key(name) {
            return Ok(false);
        }
        let key = TransitKey::new(name, key_type, derived, self.generate(key_type, derived)?);
        let mut keys = self.write();
        if keys.contains_key(name) {
            return Ok(false);
        }
        keys.insert(name.to_owned(), Arc::new(key));
        Ok(true)
    }

    pub(in crate::vault) fn rotate(&self, name: &str) -> Result<u64, KeyError> {
        let missing = || KeyError::NotFound(name.to_owned());
        let key = self.get(name).ok_or_else(missing)?;
        let version = self.generate(key.key_type, key.derived)?;
        self.change(name, |key| {
            let number = key.latest() + 1;
            key.versions.insert(number, version);
            number
        })
    }

    /// Changes a key in place.
    pub(in crate::vault) fn change<T>(
        &self,
        name: &str,
        change: impl FnOnce(&mut TransitKey) -> T,
    ) -> Result<T, KeyError> {
        let mut keys = self.write();
        let key = keys.get_mut(name).ok_or_else(|| KeyError::NotFound(name.to_owned()))?;
        Ok(change(Arc::make_mut(key)))
    }

    pub(in crate::vault) fn set_creation_time(
        &self,
        name: &str,
        number: u64,
        time: Timestamp,
    ) -> Result<(), KeyError> {
        self.change(name, |key| match key.versions.get_mut(&number) {
            Some(version) => {
                version.created = time;
                Ok(())
            }
            None => Err(KeyError::NoVersion { name: name.to_owned(), version: number }),
        })?
    }

    pub(in crate::vault) fn public_key(&self, name: &str, number: u64) -> Option<String> {
        self.get(name)?.versions.get(&number)?.material.public_key(None)
    }

    pub(in crate::vault) fn delete(&self, name: &str) {
        self.write().remove(name);
    }

    fn generate(&self, key_type: KeyType, derived: bool) -> Result<Version, KeyError> {
        let taken = match key_type {
            KeyType::Rsa3072 => &self.rsa_taken[1],
            KeyType::Rsa4096 => &self.rsa_taken[2],
            _ => &self.rsa_taken[0],
        };
        let index = if key_type.is_rsa() { taken.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let material = Material::generate(key_type, derived, index)?;
        Ok(Version { material: Arc::new(material), created: now() })
    }
}
