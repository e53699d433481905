//! The few things used most recently, shared by threads.

use std::sync::{Arc, Mutex, PoisonError};

/// At most `limit` values; the one not used for longest makes room. Meant for tens, so looked up in a row.
pub(crate) struct Recent<K, V> {
    limit: usize,
    values: Mutex<Vec<(K, Arc<V>)>>,
}

impl<K: PartialEq, V> Recent<K, V> {
    pub fn new(limit: usize) -> Self {
        Self { limit, values: Mutex::new(Vec::new()) }
    }

    pub fn get(&self, key: &K) -> Option<Arc<V>> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let at = values.iter().rposition(|(k, _)| k == key)?;
        let found = values.remove(at);
        let value = found.1.clone();
        values.push(found);
        Some(value)
    }

    pub fn put(&self, key: K, value: Arc<V>) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.retain(|(k, _)| *k != key);
        if values.len() >= self.limit {
            values.remove(0);
        }
        values.push((key, value));
    }
}
