//! Work done by several threads, its results taken in order, with bounded memory.

use std::collections::VecDeque;
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::{Error, ErrorKind, Result};

/// Jobs under way for each thread: one worked on, one done or waiting.
const EACH: usize = 2;

/// Threads for reading (and perhaps unpacking or packing) what goes out in order.
pub(crate) fn default_threads() -> usize {
    thread::available_parallelism().map_or(4, |n| n.get().clamp(4, 16))
}

/// Runs `work` on every job in `threads` threads; `take` gets the results in the order of the jobs. Ends at the first error.
pub(crate) fn ordered<J: Send, R: Send>(
    threads: usize,
    jobs: impl Iterator<Item = Result<J>>,
    work: impl Fn(J) -> Result<R> + Sync,
    mut take: impl FnMut(R) -> Result<()>,
) -> Result<()> {
    thread::scope(|scope| {
        let work = &work;
        let workers: Vec<_> = (0..threads.max(1))
            .map(|_| {
                let (give, given) = sync_channel::<J>(EACH);
                let (hand, handed) = sync_channel::<Result<R>>(EACH);
                scope.spawn(move || {
                    for job in given {
                        if hand.send(work(job)).is_err() {
                            return; // nobody waits for it any more
                        }
                    }
                });
                (give, handed)
            })
            .collect();
        let lost = || Error::new(ErrorKind::Io, "a thread that read the disk has died");
        // Jobs go round; so results come back round, and the front is always the oldest.
        let mut turn = (0..workers.len()).cycle();
        let mut pending = VecDeque::new();
        for job in jobs {
            if pending.len() == workers.len() * EACH
                && let Some(oldest) = pending.pop_front()
            {
                let (_, handed): &(_, std::sync::mpsc::Receiver<Result<R>>) = &workers[oldest];
                take(handed.recv().map_err(|_| lost())??)?;
            }
            let next = turn.next().unwrap_or(0);
            workers[next].0.send(job?).map_err(|_| lost())?;
            pending.push_back(next);
        }
        for oldest in pending {
            take(workers[oldest].1.recv().map_err(|_| lost())??)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_jobs_whatever_each_takes() {
        let mut seen = Vec::new();
        let slow_first = |n: u64| {
            thread::sleep(std::time::Duration::from_micros((100 - n) * 20));
            Ok(n)
        };
        ordered(5, (0..100).map(Ok), slow_first, |n| {
            seen.push(n);
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn an_error_in_the_work_ends_it_after_what_came_before() {
        let mut seen = 0;
        let fails_at_7 = |n: u64| {
            if n == 7 { Err(Error::new(ErrorKind::Corrupt, "seven")) } else { Ok(n) }
        };
        let error = ordered(3, (0..100).map(Ok), fails_at_7, |_| {
            seen += 1;
            Ok(())
        });
        assert_eq!((error.unwrap_err().to_string(), seen), ("seven".into(), 7));
    }
}
