//! RSA keys, which are slow to make, and so are shared where sharing cannot be noticed.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::rsa::{KeyPair, KeySize};

use crate::error::KeyError;

static POOLS: [Mutex<Vec<Arc<KeyPair>>>; 3] =
    [Mutex::new(Vec::new()), Mutex::new(Vec::new()), Mutex::new(Vec::new())];

/// The `index`-th RSA key of this size in this process, generated when first asked for.
///
/// A fake that counts its own indexes up never sees a key twice, while a second fake reuses the work of the first.
pub(crate) fn pooled(size: KeySize, index: usize) -> Result<Arc<KeyPair>, KeyError> {
    let pool = match size {
        KeySize::Rsa3072 => &POOLS[1],
        KeySize::Rsa4096 => &POOLS[2],
        _ => &POOLS[0],
    };
    let mut keys = pool.lock().unwrap_or_else(PoisonError::into_inner);
    while keys.len() <= index {
        keys.push(Arc::new(KeyPair::generate(size)?));
    }
    keys.get(index).cloned().ok_or(KeyError::Generation)
}
