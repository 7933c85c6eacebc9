// SPDX-License-Identifier: MIT
//
// tasks.rs - tokio's and async-lock's mutex and semaphore under tasks of tokio's
// current-thread runtime, in the table of async_peer.h.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use tokio::runtime::{Builder, Runtime};

use crate::bench_now;

#[repr(C)]
pub struct AsyncPeer {
    name: *const u8,
    try_pairs: Option<extern "C" fn(u64) -> u64>,
    lock_pairs: Option<extern "C" fn(u64) -> u64>,
    yields: Option<extern "C" fn(u64, u64) -> u64>,
    burst: Option<extern "C" fn(u64, *mut u64) -> u64>,
    cancel: Option<extern "C" fn(u64) -> u64>,
    cancel_and_tell: Option<extern "C" fn(u64) -> u64>,
    cross: Option<extern "C" fn(u64) -> u64>,
    loops: Option<extern "C" fn(u64, u64) -> u64>,
    permits: Option<extern "C" fn(u64, u64, u64) -> u64>,
    rwlocks: Option<extern "C" fn(u64, u64) -> u64>,
    wake: Option<extern "C" fn(u64) -> u64>,
    mixed: Option<extern "C" fn(u64, *mut u64) -> u64>,
}

unsafe impl Sync for AsyncPeer {}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

fn now() -> u64 {
    unsafe { bench_now() }
}

// What the tasks of one round share. The lock guards all but itself; relaxed
// atomics only because Rust asks for some.
struct Shared {
    left: AtomicU64,
    warm: AtomicU64,
    begin: AtomicU64,
    end: AtomicU64,
}

impl Shared {
    fn new(count: u64, warm: u64) -> Shared {
        Shared {
            left: AtomicU64::new(count + warm),
            warm: AtomicU64::new(warm),
            begin: AtomicU64::new(0),
            end: AtomicU64::new(0),
        }
    }

    // One more hand-off; false: that was the last.
    fn goes_on(&self) -> bool {
        let warm = self.warm.load(Ordering::Relaxed);
        let left = self.left.load(Ordering::Relaxed);

        if warm != 0 {
            self.warm.store(warm - 1, Ordering::Relaxed);
            if warm == 1 {
                self.begin.store(now(), Ordering::Relaxed);
            }
        }
        if left == 0 {
            return false;
        }
        self.left.store(left - 1, Ordering::Relaxed);
        if left == 1 {
            self.end.store(now(), Ordering::Relaxed);
        }
        left != 1
    }

    fn ns(&self) -> u64 {
        self.end.load(Ordering::Relaxed) - self.begin.load(Ordering::Relaxed)
    }
}

fn quiet_waker() -> Waker {
    const TABLE: RawWakerVTable = RawWakerVTable::new(clone, nothing, nothing, nothing);

    fn clone(_: *const ()) -> RawWaker {
        RawWaker::new(std::ptr::null(), &TABLE)
    }
    fn nothing(_: *const ()) {}
    unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &TABLE)) }
}

// Puts the task behind those that are ready, as "yield" is meant in async_peer.h.
// tokio's own yield_now() wakes a task only after a turn of the driver (since 1.23),
// which would be timed as well.
struct Behind(bool);

impl Future for Behind {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

// Polls a lock future that cannot be ready, so that it is in the queue.
struct PollOnce<'a, F>(Pin<&'a mut F>);

impl<F: Future> Future for PollOnce<'_, F> {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        assert!(self.0.as_mut().poll(context).is_pending());
        Poll::Ready(())
    }
}

// Queues `tasks` lock futures and drops them in another order than they came. They
// stand in one block of memory, as in tasks or in structs of a caller: what is
// timed is the cancel, not a free().
fn cancel_all<F: Future>(tasks: u64, lock: impl Fn() -> F) -> u64 {
    let waker = quiet_waker();
    let mut context = Context::from_waker(&waker);
    let mut waits: Vec<Option<F>> = (0..tasks).map(|_| Some(lock())).collect();

    // The block neither grows nor moves from here on, so its futures are pinned.
    for wait in waits.iter_mut() {
        let wait = unsafe { Pin::new_unchecked(wait.as_mut().unwrap()) };

        assert!(matches!(wait.poll(&mut context), Poll::Pending));
    }
    let begin = now();
    let mut at = 0;
    for _ in 0..tasks {
        at = (at + 7919) % tasks as usize;
        waits[at] = None;
    }
    now() - begin
}

macro_rules! mutex_rounds {
    ($module:ident, $mutex:ty, $new:expr, $unlocked:expr) => {
        mod $module {
            use super::*;

            pub extern "C" fn try_pairs(count: u64) -> u64 {
                let lock: $mutex = $new;
                let begin = now();

                for _ in 0..count {
                    drop($unlocked(lock.try_lock()));
                }
                now() - begin
            }

            pub extern "C" fn lock_pairs(count: u64) -> u64 {
                let lock: Arc<$mutex> = Arc::new($new);
                let runtime = runtime();
                let task = runtime.spawn(async move {
                    let begin = now();
                    for _ in 0..count {
                        drop(lock.lock().await);
                    }
                    now() - begin
                });

                runtime.block_on(task).unwrap()
            }

            async fn hold_over_yield(lock: Arc<$mutex>, shared: Arc<Shared>) {
                loop {
                    let guard = lock.lock().await;

                    Behind(false).await;
                    let more = shared.goes_on();
                    drop(guard);
                    if !more {
                        break;
                    }
                }
            }

            fn one_loop(lock: &Arc<$mutex>, shared: &Arc<Shared>, tasks: u64) {
                let runtime = runtime();
                let all: Vec<_> = (0..tasks)
                    .map(|_| runtime.spawn(hold_over_yield(lock.clone(), shared.clone())))
                    .collect();

                runtime.block_on(async {
                    for task in all {
                        task.await.unwrap();
                    }
                });
            }

            pub extern "C" fn yields(tasks: u64, count: u64) -> u64 {
                let lock: Arc<$mutex> = Arc::new($new);
                let shared = Arc::new(Shared::new(count, tasks));

                one_loop(&lock, &shared, tasks);
                shared.ns()
            }

            pub extern "C" fn loops(tasks: u64, count: u64) -> u64 {
                let lock: Arc<$mutex> = Arc::new($new);
                let shared = Arc::new(Shared::new(count, 2 * tasks));
                let both = Arc::new(Barrier::new(2));
                let (lock2, shared2, both2) = (lock.clone(), shared.clone(), both.clone());
                let other = std::thread::spawn(move || {
                    both2.wait();
                    one_loop(&lock2, &shared2, tasks);
                });

                both.wait();
                one_loop(&lock, &shared, tasks);
                other.join().unwrap();
                shared.ns()
            }

            pub extern "C" fn burst(tasks: u64, enqueued: *mut u64) -> u64 {
                let lock: Arc<$mutex> = Arc::new($new);
                let shared = Arc::new(Shared::new(tasks, 0));
                let over = Arc::new(tokio::sync::Notify::new());
                let holder = $unlocked(lock.try_lock());
                let runtime = runtime();

                for _ in 0..tasks {
                    let (lock, shared, over) = (lock.clone(), shared.clone(), over.clone());

                    runtime.spawn(async move {
                        let guard = lock.lock().await;
                        let more = shared.goes_on();
                        drop(guard);
                        if !more {
                            over.notify_one();
                        }
                        // The end of a task, and its free(), are not timed.
                        std::future::pending::<()>().await;
                    });
                }
                // Behind them all: they have queued when this runs, and the first
                // turn of the marker says when they began. That each is polled for
                // the first time is in here.
                let mut begin = now();
                let queued = runtime.spawn(async {});
                runtime.block_on(queued).unwrap();
                unsafe { *enqueued = now() - begin };
                begin = now();
                drop(holder);
                runtime.block_on(over.notified());
                shared.end.load(Ordering::Relaxed) - begin
            }

            pub extern "C" fn cancel(tasks: u64) -> u64 {
                let lock: $mutex = $new;
                let holder = $unlocked(lock.try_lock());
                let ns = cancel_all(tasks, || lock.lock());

                drop(holder);
                ns
            }

            // Queues the next lock before it unlocks: the other runtime's is ahead
            // of it, so every hand-off crosses. Both have queued when `both` opens.
            async fn pass_across(
                lock: Arc<$mutex>,
                shared: Arc<Shared>,
                both: Arc<Barrier>,
                held: Option<impl Sized>,
            ) {
                let mut first = Box::pin(lock.lock());

                PollOnce(first.as_mut()).await;
                both.wait();
                drop(held);
                let mut guard = first.await;

                while shared.goes_on() {
                    let mut next = Box::pin(lock.lock());

                    PollOnce(next.as_mut()).await;
                    drop(guard);
                    guard = next.await;
                }
            }

            pub extern "C" fn cross(count: u64) -> u64 {
                let lock: Arc<$mutex> = Arc::new($new);
                let shared = Arc::new(Shared::new(count, 2));
                let both = Arc::new(Barrier::new(2));
                let (lock2, shared2, both2) = (lock.clone(), shared.clone(), both.clone());
                let held = $unlocked(lock.try_lock());
                let other = std::thread::spawn(move || {
                    runtime().block_on(pass_across(lock2, shared2, both2, None::<()>));
                });

                runtime().block_on(pass_across(
                    lock.clone(),
                    shared.clone(),
                    both,
                    Some(held),
                ));
                other.join().unwrap();
                shared.ns()
            }
        }
    };
}

mutex_rounds!(
    tokio_mutex,
    tokio::sync::Mutex<()>,
    tokio::sync::Mutex::new(()),
    Result::unwrap
);
mutex_rounds!(
    async_lock_mutex,
    async_lock::Mutex<()>,
    async_lock::Mutex::new(()),
    Option::unwrap
);

extern "C" fn tokio_permits(k: u64, tasks: u64, count: u64) -> u64 {
    let sem = Arc::new(tokio::sync::Semaphore::new(k as usize));
    let shared = Arc::new(Shared::new(count, tasks));
    let runtime = runtime();
    let mut all = Vec::new();

    for _ in 0..tasks {
        let (sem, shared) = (sem.clone(), shared.clone());

        all.push(runtime.spawn(async move {
            loop {
                let permits = sem.acquire_many(2).await.unwrap();

                Behind(false).await;
                let more = shared.goes_on();
                drop(permits);
                if !more {
                    break;
                }
            }
        }));
    }
    runtime.block_on(async {
        for task in all {
            task.await.unwrap();
        }
    });
    shared.ns()
}

macro_rules! rwlock_round {
    ($name:ident, $rwlock:ty) => {
        extern "C" fn $name(tasks: u64, count: u64) -> u64 {
            let lock: Arc<$rwlock> = Arc::new(<$rwlock>::new(()));
            let shared = Arc::new(Shared::new(count, tasks));
            let runtime = runtime();
            let mut all = Vec::new();

            for first in 0..tasks {
                let (lock, shared) = (lock.clone(), shared.clone());

                all.push(runtime.spawn(async move {
                    let mut at = first;
                    loop {
                        let more;

                        if at % 10 == 0 {
                            let guard = lock.write().await;
                            Behind(false).await;
                            more = shared.goes_on();
                            drop(guard);
                        } else {
                            let guard = lock.read().await;
                            Behind(false).await;
                            more = shared.goes_on();
                            drop(guard);
                        }
                        at += 1;
                        if !more {
                            break;
                        }
                    }
                }));
            }
            runtime.block_on(async {
                for task in all {
                    task.await.unwrap();
                }
            });
            shared.ns()
        }
    };
}

rwlock_round!(tokio_rwlocks, tokio::sync::RwLock<()>);
rwlock_round!(async_lock_rwlocks, async_lock::RwLock<()>);

// What four tasks and two threads on one lock share; the lock guards it.
struct Mixed {
    ops: AtomicU64,
    longest: AtomicU64,
    until: u64,
}

impl Mixed {
    fn note(&self, asked: u64) {
        let waited = now() - asked;

        self.ops.store(self.ops.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        if waited > self.longest.load(Ordering::Relaxed) {
            self.longest.store(waited, Ordering::Relaxed);
        }
    }
}

extern "C" fn tokio_mixed(ms: u64, longest: *mut u64) -> u64 {
    let lock = Arc::new(tokio::sync::Mutex::new(()));
    let mixed = Arc::new(Mixed {
        ops: AtomicU64::new(0),
        longest: AtomicU64::new(0),
        until: now() + ms * 1000000,
    });
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (lock, mixed) = (lock.clone(), mixed.clone());

            std::thread::spawn(move || loop {
                let asked = now();

                if asked >= mixed.until {
                    break;
                }
                let guard = lock.blocking_lock();
                mixed.note(asked);
                drop(guard);
            })
        })
        .collect();
    let runtime = runtime();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (lock, mixed) = (lock.clone(), mixed.clone());

            runtime.spawn(async move {
                loop {
                    let asked = now();

                    if asked >= mixed.until {
                        break;
                    }
                    let guard = lock.lock().await;
                    mixed.note(asked);
                    drop(guard);
                }
            })
        })
        .collect();

    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    for thread in threads {
        thread.join().unwrap();
    }
    unsafe { *longest = mixed.longest.load(Ordering::Relaxed) };
    mixed.ops.load(Ordering::Relaxed)
}

#[no_mangle]
pub static async_tokio: AsyncPeer = AsyncPeer {
    name: b"tokio\0".as_ptr(),
    try_pairs: Some(tokio_mutex::try_pairs),
    lock_pairs: Some(tokio_mutex::lock_pairs),
    yields: Some(tokio_mutex::yields),
    burst: Some(tokio_mutex::burst),
    cancel: Some(tokio_mutex::cancel),
    cancel_and_tell: Some(tokio_mutex::cancel),
    cross: Some(tokio_mutex::cross),
    loops: Some(tokio_mutex::loops),
    permits: Some(tokio_permits),
    rwlocks: Some(tokio_rwlocks),
    wake: None,
    mixed: Some(tokio_mixed),
};

#[no_mangle]
pub static async_async_lock: AsyncPeer = AsyncPeer {
    name: b"async-lock\0".as_ptr(),
    try_pairs: Some(async_lock_mutex::try_pairs),
    lock_pairs: Some(async_lock_mutex::lock_pairs),
    yields: Some(async_lock_mutex::yields),
    burst: Some(async_lock_mutex::burst),
    cancel: Some(async_lock_mutex::cancel),
    cancel_and_tell: Some(async_lock_mutex::cancel),
    cross: Some(async_lock_mutex::cross),
    loops: Some(async_lock_mutex::loops),
    permits: None,
    rwlocks: Some(async_lock_rwlocks),
    wake: None,
    mixed: None,
};

#[no_mangle]
pub unsafe extern "C" fn bench_rust_sizes(tokio: *mut f64, async_lock: *mut f64) {
    use std::mem::{size_of, size_of_val};

    let ours = tokio::sync::Mutex::new(());
    let theirs = async_lock::Mutex::new(());

    *tokio.add(0) = size_of::<tokio::sync::Mutex<()>>() as f64;
    *tokio.add(1) = size_of_val(&ours.lock()) as f64;
    *tokio.add(2) = size_of::<tokio::sync::Semaphore>() as f64;
    *tokio.add(3) = size_of::<tokio::sync::RwLock<()>>() as f64;
    *async_lock.add(0) = size_of::<async_lock::Mutex<()>>() as f64;
    *async_lock.add(1) = size_of_val(&theirs.lock()) as f64;
    *async_lock.add(2) = size_of::<async_lock::Semaphore>() as f64;
    *async_lock.add(3) = size_of::<async_lock::RwLock<()>>() as f64;
}
