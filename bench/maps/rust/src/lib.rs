// SPDX-License-Identifier: Apache-2.0
//! vm-memory's collection of regions, with regions of our own that have addresses but no memory. The loops are those of
//! `loops.h` and `changes.h`, here so that the compiler sees loop and lookup together.
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;

use vm_memory::region::{
    GuestMemoryRegion, GuestMemoryRegionBytes, GuestRegionCollection,
};
use vm_memory::{Address, GuestAddress, GuestMemoryBackend, GuestMemoryError, MemoryRegionAddress};

const MISS: u64 = u64::MAX;
const FAILED: u64 = u64::MAX;

struct Counting;
static BYTES: AtomicUsize = AtomicUsize::new(0);

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Relaxed);
        System.alloc(layout)
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Relaxed);
        System.dealloc(memory, layout)
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// As in `abi.h`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CRegion {
    start: u64,
    last: u64,
    host: u64,
    id: u64,
}

/// As in `abi.h`.
#[repr(C)]
pub struct Work {
    addresses: *const u64,
    indexes: *const u32,
    answers: *mut u64,
    count: usize,
    length: u64,
    zero: u64,
    sum: u64,
    found: u64,
}

struct Region {
    start: u64,
    size: u64,
    host: u64,
}

impl GuestMemoryRegion for Region {
    type B = ();
    fn len(&self) -> u64 {
        self.size
    }
    fn start_addr(&self) -> GuestAddress {
        GuestAddress(self.start)
    }
    fn bitmap(&self) {}
    fn get_host_address(&self, at: MemoryRegionAddress) -> Result<*mut u8, GuestMemoryError> {
        Ok((self.host + at.raw_value()) as *mut u8)
    }
}

impl GuestMemoryRegionBytes for Region {}

impl From<&CRegion> for Region {
    fn from(given: &CRegion) -> Self {
        Region { start: given.start, size: given.last - given.start + 1, host: given.host }
    }
}

pub struct Map {
    regions: GuestRegionCollection<Region>,
}

impl Map {
    #[inline(always)]
    fn find(&self, address: u64) -> Option<(u64, u64)> {
        let region = self.regions.find_region(GuestAddress(address))?;
        let at = region.to_region_addr(GuestAddress(address))?;
        let host = region.get_host_address(at).ok()?;
        Some((host as u64, region.last_addr().raw_value()))
    }

    #[inline(always)]
    fn host(&self, address: u64) -> u64 {
        self.find(address).map_or(MISS, |found| found.0)
    }

    fn insert(&mut self, region: Region) -> bool {
        match self.regions.insert_region(Arc::new(region)) {
            Ok(regions) => self.regions = regions,
            Err(_) => return false,
        }
        true
    }

    fn remove(&mut self, start: u64, size: u64) -> bool {
        match self.regions.remove_region(GuestAddress(start), size) {
            Ok((regions, _)) => self.regions = regions,
            Err(_) => return false,
        }
        true
    }
}

unsafe fn slices<'a>(work: *const Work) -> &'a [u64] {
    std::slice::from_raw_parts((*work).addresses, (*work).count)
}

extern "C" {
    fn bench_now() -> u64;
}

/// # Safety
/// All pointers are those that `abi.h` describes; so for all functions below.
#[no_mangle]
pub unsafe extern "C" fn rust_create(regions: *const CRegion, count: usize) -> *mut Map {
    // Sorted already; vm-memory makes a collection of a whole set of regions.
    let regions = match count {
        0 => Ok(GuestRegionCollection::new()),
        _ => GuestRegionCollection::from_regions(
            std::slice::from_raw_parts(regions, count).iter().map(Region::from).collect(),
        ),
    };
    match regions {
        Ok(regions) => Box::into_raw(Box::new(Map { regions })),
        Err(_) => std::ptr::null_mut(),
    }
}

/// # Safety
/// See above.
#[no_mangle]
pub unsafe extern "C" fn rust_destroy(map: *mut Map) {
    drop(Box::from_raw(map));
}

#[no_mangle]
pub extern "C" fn rust_bytes() -> usize {
    BYTES.load(Relaxed)
}

/// # Safety
/// See above.
#[no_mangle]
pub unsafe extern "C" fn rust_throughput(map: &Map, work: *mut Work) -> u64 {
    let addresses = slices(work);
    let begin = bench_now();
    let mut sum = 0u64;
    for &address in addresses {
        sum = sum.wrapping_add(map.host(address));
    }
    (*work).sum = black_box(sum);
    bench_now() - begin
}

/// # Safety
/// See above.
#[no_mangle]
pub unsafe extern "C" fn rust_latency(map: &Map, work: *mut Work) -> u64 {
    let addresses = slices(work);
    let zero = (*work).zero;
    let begin = bench_now();
    let mut answer = 0u64;
    for &address in addresses {
        answer = map.host(address.wrapping_add(answer & zero));
    }
    (*work).sum = black_box(answer);
    bench_now() - begin
}

/// # Safety
/// See above.
#[no_mangle]
pub unsafe extern "C" fn rust_answer(map: &Map, work: *mut Work) -> u64 {
    let begin = bench_now();
    for (number, &address) in slices(work).iter().enumerate() {
        *(*work).answers.add(number) = map.host(address);
    }
    bench_now() - begin
}

/// # Safety
/// See above.
#[no_mangle]
pub unsafe extern "C" fn rust_translate(map: &Map, work: *mut Work) -> u64 {
    let begin = bench_now();
    let length = (*work).length;
    let (mut sum, mut segments) = (0u64, 0u64);
    for &first in slices(work) {
        let (mut address, mut left) = (first, length);
        while left > 0 {
            let Some((host, last)) = map.find(address) else { break };
            let size = left.min(last - address + 1);
            sum = sum.wrapping_add(host + size);
            segments += 1;
            address += size;
            left -= size;
        }
    }
    (*work).sum = black_box(sum);
    (*work).found = segments;
    bench_now() - begin
}

unsafe fn took(begin: u64, worked: bool) -> u64 {
    if worked { bench_now() - begin } else { FAILED }
}

/// # Safety
/// See above.
#[no_mangle]
pub unsafe extern "C" fn rust_insert(map: &mut Map, regions: *const CRegion, count: usize) -> u64 {
    let begin = bench_now();
    let given = std::slice::from_raw_parts(regions, count);
    let worked = given.iter().all(|one| map.insert(Region::from(one)));
    took(begin, worked)
}

/// # Safety
/// See above.
#[no_mangle]
pub unsafe extern "C" fn rust_remove(map: &mut Map, regions: *const CRegion, count: usize) -> u64 {
    let begin = bench_now();
    let given = std::slice::from_raw_parts(regions, count);
    let worked = given.iter().all(|one| map.remove(one.start, one.last - one.start + 1));
    took(begin, worked)
}

/// # Safety
/// See above.
#[no_mangle]
pub unsafe extern "C" fn rust_move(map: &mut Map, regions: *const CRegion, to: *const u64, count: usize) -> u64 {
    let begin = bench_now();
    let worked = (0..count).all(|number| {
        let region = Region::from(&*regions.add(number));
        let moved = Region { start: *to.add(number), size: region.size, host: region.host };
        map.remove(region.start, region.size) && map.insert(moved)
    });
    took(begin, worked)
}
