// SPDX-License-Identifier: MIT
//
// sync.rs - parking_lot and std, as the bodies want them.

use std::cell::RefCell;

use crate::body::{self, Cond, Mutex, Peer, RwLock};

impl Mutex for parking_lot::Mutex<()> {
    type Guard = parking_lot::MutexGuard<'static, ()>;
    fn make() -> Self {
        parking_lot::Mutex::new(())
    }
    #[inline(always)]
    fn lock(&'static self) -> Self::Guard {
        self.lock()
    }
    #[inline(always)]
    fn lock_kept(&'static self) {
        std::mem::forget(self.lock());
    }
    #[inline(always)]
    unsafe fn unlock_kept(&'static self) {
        self.force_unlock();
    }
}

impl Cond<parking_lot::Mutex<()>> for parking_lot::Condvar {
    fn make() -> Self {
        parking_lot::Condvar::new()
    }
    #[inline(always)]
    fn wait(
        &self,
        mut guard: parking_lot::MutexGuard<'static, ()>,
    ) -> parking_lot::MutexGuard<'static, ()> {
        self.wait(&mut guard);
        guard
    }
    #[inline(always)]
    fn signal(&self) {
        self.notify_one();
    }
    #[inline(always)]
    fn broadcast(&self) {
        self.notify_all();
    }
}

// std can only unlock through a guard, so it is kept here meanwhile.
thread_local! {
    static KEPT: RefCell<Option<std::sync::MutexGuard<'static, ()>>> =
        RefCell::new(None);
}

impl Mutex for std::sync::Mutex<()> {
    type Guard = std::sync::MutexGuard<'static, ()>;
    fn make() -> Self {
        std::sync::Mutex::new(())
    }
    #[inline(always)]
    fn lock(&'static self) -> Self::Guard {
        match self.lock() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        }
    }
    fn lock_kept(&'static self) {
        let guard = Mutex::lock(self);
        KEPT.with(|kept| *kept.borrow_mut() = Some(guard));
    }
    unsafe fn unlock_kept(&'static self) {
        KEPT.with(|kept| *kept.borrow_mut() = None);
    }
}

impl Cond<std::sync::Mutex<()>> for std::sync::Condvar {
    fn make() -> Self {
        std::sync::Condvar::new()
    }
    #[inline(always)]
    fn wait(
        &self,
        guard: std::sync::MutexGuard<'static, ()>,
    ) -> std::sync::MutexGuard<'static, ()> {
        match self.wait(guard) {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        }
    }
    #[inline(always)]
    fn signal(&self) {
        self.notify_one();
    }
    #[inline(always)]
    fn broadcast(&self) {
        self.notify_all();
    }
}

impl RwLock for parking_lot::RwLock<()> {
    type Read = parking_lot::RwLockReadGuard<'static, ()>;
    type Write = parking_lot::RwLockWriteGuard<'static, ()>;
    fn make() -> Self {
        parking_lot::RwLock::new(())
    }
    #[inline(always)]
    fn read(&'static self) -> Self::Read {
        self.read()
    }
    #[inline(always)]
    fn write(&'static self) -> Self::Write {
        self.write()
    }
}

impl RwLock for std::sync::RwLock<()> {
    type Read = std::sync::RwLockReadGuard<'static, ()>;
    type Write = std::sync::RwLockWriteGuard<'static, ()>;
    fn make() -> Self {
        std::sync::RwLock::new(())
    }
    #[inline(always)]
    fn read(&'static self) -> Self::Read {
        match self.read() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        }
    }
    #[inline(always)]
    fn write(&'static self) -> Self::Write {
        match self.write() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        }
    }
}

#[no_mangle]
pub static peer_parking_lot: Peer =
    body::peer::<parking_lot::Mutex<()>, parking_lot::Condvar, parking_lot::RwLock<()>>(
        b"parking_lot\0",
    );

#[no_mangle]
pub static peer_rust_std: Peer =
    body::peer::<std::sync::Mutex<()>, std::sync::Condvar, std::sync::RwLock<()>>(
        b"Rust std\0",
    );
