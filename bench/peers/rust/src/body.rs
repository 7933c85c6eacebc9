// SPDX-License-Identifier: MIT
//
// body.rs - body.h in Rust, line by line, and the structs of peer.h. A change
// there is a change here.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::bench_now;

// The objects outlive every call here, hence 'static.
pub trait Mutex: Sized + 'static {
    type Guard;
    fn make() -> Self;
    fn lock(&'static self) -> Self::Guard;
    // The wake workload locks in one call and unlocks in another.
    fn lock_kept(&'static self);
    unsafe fn unlock_kept(&'static self);
}

pub trait Cond<M: Mutex>: Sized + 'static {
    fn make() -> Self;
    fn wait(&self, guard: M::Guard) -> M::Guard;
    fn signal(&self);
    fn broadcast(&self);
}

pub trait RwLock: Sized + 'static {
    type Read;
    type Write;
    fn make() -> Self;
    fn read(&'static self) -> Self::Read;
    fn write(&'static self) -> Self::Write;
}

#[repr(C, align(128))]
pub struct Section {
    lock: *mut u8,
    guarded: *mut u64,
    stop: *const AtomicU32,
    inside: u64,
    outside: u64,
    count: u64,
    seed: u64,
    writes: u32,
    timed: u32,
    ops: u64,
    longest: u64,
}

#[repr(C, align(128))]
pub struct Turns {
    lock: *mut u8,
    mine: *mut u8,
    other: *mut u8,
    turn: *mut u32,
    me: u32,
    count: u64,
}

#[repr(C, align(128))]
pub struct Ring {
    lock: *mut u8,
    not_full: *mut u8,
    not_empty: *mut u8,
    slots: u64,
    slot: *mut u64,
    head: u64,
    tail: u64,
}

#[repr(C, align(128))]
pub struct RingPart {
    ring: *mut Ring,
    count: u64,
    takes: u32,
    sum: u64,
}

#[repr(C, align(128))]
pub struct Herd {
    lock: *mut u8,
    call: *mut u8,
    done: *mut u8,
    members: u64,
    rounds: u64,
    generation: u64,
    waiting: u64,
    passed: u64,
    ns: u64,
}

#[repr(C)]
pub struct Peer {
    name: *const u8,
    mutex_bytes: u64,
    cond_bytes: u64,
    mutex_make: unsafe extern "C" fn(*mut u8),
    cond_make: unsafe extern "C" fn(*mut u8),
    rwlock_bytes: u64,
    rwlock_make: unsafe extern "C" fn(*mut u8),
    mutex_pairs: unsafe extern "C" fn(*mut u8, u64),
    mutex_walk: unsafe extern "C" fn(*mut u8, u64, u64),
    mutex_lock: unsafe extern "C" fn(*mut u8),
    mutex_unlock: unsafe extern "C" fn(*mut u8),
    read_pairs: unsafe extern "C" fn(*mut u8, u64),
    write_pairs: unsafe extern "C" fn(*mut u8, u64),
    mutex_section: unsafe extern "C" fn(*mut Section),
    cond_turns: unsafe extern "C" fn(*mut Turns),
    cond_ring: unsafe extern "C" fn(*mut RingPart),
    cond_herd: unsafe extern "C" fn(*mut Herd),
    cond_caller: unsafe extern "C" fn(*mut Herd),
    rwlock_section: unsafe extern "C" fn(*mut Section),
}

// The pointer is to a constant.
unsafe impl Sync for Peer {}

#[inline(always)]
fn work(steps: u64) {
    let mut x = steps;

    for _ in 0..steps {
        x = x.wrapping_mul(0x5851f42d4c957f2d).wrapping_add(1);
        unsafe { std::arch::asm!("/* {0} */", inout(reg) x, options(nomem, nostack)) };
    }
}

#[inline(always)]
unsafe fn goes_on(s: &Section, ops: u64) -> bool {
    if s.count != 0 {
        ops < s.count
    } else {
        (*s.stop).load(Ordering::Relaxed) == 0
    }
}

unsafe fn mutex_at<M: Mutex>(room: *const u8) -> &'static M {
    &*(room as *const M)
}

unsafe extern "C" fn mutex_make<M: Mutex>(room: *mut u8) {
    (room as *mut M).write(M::make());
}

unsafe extern "C" fn cond_make<M: Mutex, C: Cond<M>>(room: *mut u8) {
    (room as *mut C).write(C::make());
}

unsafe extern "C" fn mutex_pairs<M: Mutex>(mutex: *mut u8, count: u64) {
    let m = mutex_at::<M>(mutex);

    for _ in 0..count {
        drop(m.lock());
    }
}

unsafe extern "C" fn mutex_walk<M: Mutex>(table: *mut u8, mask: u64, count: u64) {
    let m = table as *const M;
    let mut at: u64 = 1;

    for _ in 0..count {
        at = at.wrapping_mul(0x5851f42d4c957f2d).wrapping_add(1);
        drop((*m.add(((at >> 32) & mask) as usize)).lock());
    }
}

unsafe extern "C" fn mutex_lock<M: Mutex>(mutex: *mut u8) {
    mutex_at::<M>(mutex).lock_kept();
}

unsafe extern "C" fn mutex_unlock<M: Mutex>(mutex: *mut u8) {
    mutex_at::<M>(mutex).unlock_kept();
}

unsafe extern "C" fn mutex_section<M: Mutex>(arg: *mut Section) {
    let s = &mut *arg;
    let m = mutex_at::<M>(s.lock);
    let guarded = s.guarded;
    let inside = s.inside;
    let outside = s.outside;
    let mut longest = 0;
    let mut ops = 0;

    while goes_on(s, ops) {
        let asked = if s.timed != 0 { bench_now() } else { 0 };
        let guard = m.lock();

        if asked != 0 {
            let waited = bench_now() - asked;

            if waited > longest {
                longest = waited;
            }
        }
        if !guarded.is_null() {
            *guarded += 1;
        }
        work(inside);
        drop(guard);
        work(outside);
        ops += 1;
    }
    s.ops = ops;
    s.longest = longest;
}

unsafe extern "C" fn cond_turns<M: Mutex, C: Cond<M>>(arg: *mut Turns) {
    let t = &*arg;
    let m = mutex_at::<M>(t.lock);

    for _ in 0..t.count {
        let mut guard = m.lock();

        while t.turn.read_volatile() != t.me {
            guard = (*(t.mine as *const C)).wait(guard);
        }
        t.turn.write_volatile((t.me == 0) as u32);
        (*(t.other as *const C)).signal();
        drop(guard);
    }
}

unsafe fn ring_put<M: Mutex, C: Cond<M>>(r: *mut Ring, item: u64) {
    let m = mutex_at::<M>((*r).lock);
    let mut guard = m.lock();

    while (*r).tail - (*r).head == (*r).slots {
        guard = (*((*r).not_full as *const C)).wait(guard);
    }
    *(*r).slot.add(((*r).tail % (*r).slots) as usize) = item;
    (*r).tail += 1;
    (*((*r).not_empty as *const C)).signal();
    drop(guard);
}

unsafe fn ring_take<M: Mutex, C: Cond<M>>(r: *mut Ring) -> u64 {
    let m = mutex_at::<M>((*r).lock);
    let mut guard = m.lock();

    while (*r).tail == (*r).head {
        guard = (*((*r).not_empty as *const C)).wait(guard);
    }
    let item = *(*r).slot.add(((*r).head % (*r).slots) as usize);
    (*r).head += 1;
    (*((*r).not_full as *const C)).signal();
    drop(guard);
    item
}

unsafe extern "C" fn cond_ring<M: Mutex, C: Cond<M>>(arg: *mut RingPart) {
    let p = &mut *arg;

    for i in 0..p.count {
        if p.takes != 0 {
            p.sum = p.sum.wrapping_add(ring_take::<M, C>(p.ring));
        } else {
            ring_put::<M, C>(p.ring, i);
        }
    }
}

unsafe extern "C" fn cond_herd<M: Mutex, C: Cond<M>>(h: *mut Herd) {
    let m = mutex_at::<M>((*h).lock);
    let mut guard = m.lock();

    for i in 0..(*h).rounds {
        (*h).waiting += 1;
        if (*h).waiting == (*h).members {
            (*((*h).done as *const C)).signal();
        }
        while (*h).generation == i {
            guard = (*((*h).call as *const C)).wait(guard);
        }
        (*h).passed += 1;
        if (*h).passed == (*h).members {
            (*((*h).done as *const C)).signal();
        }
    }
    drop(guard);
}

unsafe extern "C" fn cond_caller<M: Mutex, C: Cond<M>>(h: *mut Herd) {
    let m = mutex_at::<M>((*h).lock);
    let mut guard = m.lock();

    for _ in 0..(*h).rounds {
        while (*h).waiting != (*h).members {
            guard = (*((*h).done as *const C)).wait(guard);
        }
        (*h).waiting = 0;
        (*h).passed = 0;
        (*h).generation += 1;
        let begin = bench_now();
        (*((*h).call as *const C)).broadcast();
        while (*h).passed != (*h).members {
            guard = (*((*h).done as *const C)).wait(guard);
        }
        (*h).ns += bench_now() - begin;
    }
    drop(guard);
}

unsafe extern "C" fn rwlock_make<L: RwLock>(room: *mut u8) {
    (room as *mut L).write(L::make());
}

unsafe extern "C" fn read_pairs<L: RwLock>(rwlock: *mut u8, count: u64) {
    let l: &'static L = &*(rwlock as *const L);

    for _ in 0..count {
        drop(l.read());
    }
}

unsafe extern "C" fn write_pairs<L: RwLock>(rwlock: *mut u8, count: u64) {
    let l: &'static L = &*(rwlock as *const L);

    for _ in 0..count {
        drop(l.write());
    }
}

unsafe extern "C" fn rwlock_section<L: RwLock>(arg: *mut Section) {
    let s = &mut *arg;
    let l: &'static L = &*(s.lock as *const L);
    let guarded = s.guarded;
    let mut at = s.seed;
    let mut longest = 0;
    let mut ops = 0;

    while goes_on(s, ops) {
        let asked = if s.timed != 0 { bench_now() } else { 0 };

        at = at.wrapping_mul(0x5851f42d4c957f2d).wrapping_add(1);
        if (at >> 33) % 1000 < s.writes as u64 {
            let guard = l.write();

            note_wait(asked, &mut longest);
            work(s.inside);
            *guarded += 1;
            drop(guard);
        } else {
            let guard = l.read();

            note_wait(asked, &mut longest);
            work(s.inside);
            drop(guard);
        }
        work(s.outside);
        ops += 1;
    }
    s.ops = ops;
    s.longest = longest;
}

#[inline(always)]
unsafe fn note_wait(asked: u64, longest: &mut u64) {
    if asked != 0 {
        let waited = bench_now() - asked;

        if waited > *longest {
            *longest = waited;
        }
    }
}

pub const fn peer<M: Mutex, C: Cond<M>, L: RwLock>(name: &'static [u8]) -> Peer {
    Peer {
        name: name.as_ptr(),
        mutex_bytes: std::mem::size_of::<M>() as u64,
        cond_bytes: std::mem::size_of::<C>() as u64,
        mutex_make: mutex_make::<M>,
        cond_make: cond_make::<M, C>,
        rwlock_bytes: std::mem::size_of::<L>() as u64,
        rwlock_make: rwlock_make::<L>,
        mutex_pairs: mutex_pairs::<M>,
        mutex_walk: mutex_walk::<M>,
        mutex_lock: mutex_lock::<M>,
        mutex_unlock: mutex_unlock::<M>,
        read_pairs: read_pairs::<L>,
        write_pairs: write_pairs::<L>,
        mutex_section: mutex_section::<M>,
        cond_turns: cond_turns::<M, C>,
        cond_ring: cond_ring::<M, C>,
        cond_herd: cond_herd::<M, C>,
        cond_caller: cond_caller::<M, C>,
        rwlock_section: rwlock_section::<L>,
    }
}
