//! What changed, for those who watch: a stream that can be taken up again where it broke off.
//!
//! The last changes are kept in memory. Their numbers go on from a number made of the time at start, so that a watcher
//! who comes back after a restart, or too late, is told to read everything again (`reset`) and misses nothing.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use tokio::sync::broadcast;
use uuid::Uuid;

/// How many changes are kept for watchers that come back.
const KEPT: usize = 4096;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its number; rises by one.
    pub seq: i64,
    /// `task`, `layer`, `version`, `connector`, `template`, `image`, `machine`, `schedule`, `upload`, `user`, `token`.
    pub kind: &'static str,
    /// Which object.
    pub id: Uuid,
    /// Whether it is gone.
    pub deleted: bool,
}

/// Takes changes in and hands them to all watchers.
pub struct Feed {
    recent: Mutex<VecDeque<Change>>,
    first: i64,
    sender: broadcast::Sender<Change>,
}

impl Default for Feed {
    fn default() -> Self {
        // Microseconds: no start follows another so fast, and it stays below 2^53 for JavaScript.
        let first = jiff::Timestamp::now().as_microsecond();
        Self { recent: Mutex::default(), first, sender: broadcast::Sender::new(1024) }
    }
}

impl Feed {
    /// Tells all watchers.
    pub fn publish(&self, kind: &'static str, id: Uuid, deleted: bool) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let seq = recent.back().map_or(self.first, |last| last.seq + 1);
        let change = Change { seq, kind, id, deleted };
        if recent.len() == KEPT {
            recent.pop_front();
        }
        recent.push_back(change.clone());
        // Nobody watching is fine. Sent under the lock, so that the stream is in order.
        let _ = self.sender.send(change);
    }

    /// The number of the newest change.
    pub fn newest(&self) -> i64 {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.back().map_or(self.first - 1, |last| last.seq)
    }

    /// Watches from now on; `after` is the last number seen. Answers what was missed, or `None` when that cannot be
    /// told any more, and the stream that follows it without a gap.
    pub fn watch(&self, after: Option<i64>) -> (Option<Vec<Change>>, broadcast::Receiver<Change>) {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = self.sender.subscribe();
        let Some(after) = after else { return (Some(Vec::new()), receiver) };
        let oldest = recent.front().map_or(self.first, |change| change.seq);
        let newest = recent.back().map_or(self.first - 1, |change| change.seq);
        if after < oldest - 1 || after > newest {
            return (None, receiver);
        }
        (Some(recent.iter().filter(|change| change.seq > after).cloned().collect()), receiver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watcher_that_comes_back_misses_nothing_or_is_told_so() {
        let feed = Feed::default();
        let id = Uuid::nil();
        let before = feed.newest();
        for _ in 0..3 {
            feed.publish("task", id, false);
        }
        let (missed, _) = feed.watch(Some(before + 1));
        assert_eq!(missed.unwrap().iter().map(|c| c.seq - before).collect::<Vec<_>>(), [2, 3]);
        let (missed, mut stream) = feed.watch(Some(feed.newest()));
        assert!(missed.unwrap().is_empty());
        feed.publish("layer", id, true);
        assert_eq!(stream.try_recv().unwrap().kind, "layer");
        assert!(feed.watch(Some(before - 1)).0.is_none(), "another start's number");
        assert!(feed.watch(Some(feed.newest() + 5)).0.is_none(), "a number that was never given");
        for _ in 0..KEPT {
            feed.publish("task", id, false);
        }
        assert!(feed.watch(Some(before + 1)).0.is_none(), "too long ago");
    }
}
