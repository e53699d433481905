//! A small map with a budget: tables and decompressed blocks that are likely wanted again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Values by place, at most `budget` bytes of them; the one that came in first goes first.
pub(crate) struct Cache<T> {
    budget: usize,
    held: Mutex<Held<T>>,
}

struct Held<T> {
    values: HashMap<u64, Arc<[T]>>,
    order: VecDeque<u64>,
    bytes: usize,
}

impl<T> Cache<T> {
    pub(crate) fn new(budget: usize) -> Self {
        let held = Held { values: HashMap::new(), order: VecDeque::new(), bytes: 0 };
        Self { budget, held: Mutex::new(held) }
    }

    /// Nothing is half done under this lock, so a panic elsewhere leaves it fit for use.
    fn lock(&self) -> MutexGuard<'_, Held<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, key: u64) -> Option<Arc<[T]>> {
        self.lock().values.get(&key).cloned()
    }

    pub(crate) fn put(&self, key: u64, value: Arc<[T]>) {
        let mut held = self.lock();
        let size = size_of_val(&*value);
        if held.values.insert(key, value).is_some() {
            return; // two readers met: same place, same bytes
        }
        held.order.push_back(key);
        held.bytes += size;
        while held.bytes > self.budget && held.order.len() > 1 {
            let Some(oldest) = held.order.pop_front() else { break };
            if let Some(gone) = held.values.remove(&oldest) {
                held.bytes -= size_of_val(&*gone);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_holds_and_the_oldest_goes_first() {
        let cache = Cache::<u8>::new(30);
        for key in 0..5 {
            cache.put(key, Arc::from(vec![key as u8; 10]));
        }
        let held: Vec<_> = (0..5).filter(|k| cache.get(*k).is_some()).collect();
        assert_eq!(held, [2, 3, 4]);
    }
}
