//! FAT from a guest: opened, looked through, written to.
//! Errors are fine; panics are bugs. Memory stays bounded, whatever the structures claim.
#![no_main]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{Read, Result, Write};

use libfuzzer_sys::fuzz_target;

/// Slots of 32 bytes that are asked about.
const SLOTS: u64 = 2048;

/// The other end: asks, and has the disk.
struct Talk {
    disk: RefCell<Vec<u8>>,
    heard: RefCell<VecDeque<u8>>,
}

impl Read for &Talk {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize> {
        self.heard.borrow_mut().read(bytes)
    }
}

impl Write for &Talk {
    /// One message: a length, a tag and fields.
    fn write(&mut self, message: &[u8]) -> Result<usize> {
        let (mut disk, mut heard) = (self.disk.borrow_mut(), self.heard.borrow_mut());
        let number = |at: usize| u32::from_le_bytes(message[at..at + 4].try_into().unwrap()) as usize;
        match message[4] {
            b'r' => {
                let (at, length) = (number(5), number(13));
                // Answers come before requests that were not heard yet.
                for byte in disk[at..at + length].iter().rev().chain((length as u32).to_le_bytes().iter().rev()) {
                    heard.push_front(*byte);
                }
            }
            b'w' => disk[number(5)..number(5) + message.len() - 13].copy_from_slice(&message[13..]),
            _ => {}
        }
        Ok(message.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

fn request(operation: u8, fields: &[&[u8]]) -> Vec<u8> {
    let body = [&[operation][..], &fields.concat()].concat();
    let whole = [&(body.len() as u32).to_le_bytes()[..], &body].concat();
    [&(whole.len() as u32).to_le_bytes()[..], &whole].concat()
}

fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else { return };
    let mut disk = data.to_vec();
    if disk.len() >= 512 {
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    }
    let size = (disk.len() as u64).to_le_bytes();
    let root = 1u64.to_le_bytes();
    let name = [&4u32.to_le_bytes()[..], &[b'n', 0, 0xe9, 0]].concat();
    let mut asked = request(1, &[&[3, [0, 1, 2, 1][usize::from(first & 3)]], &size]);
    for node in 1..SLOTS.min(disk.len() as u64 / 32) {
        asked.extend(request(2, &[&node.to_le_bytes()]));
        asked.extend(request(4, &[&node.to_le_bytes(), &[0; 4]]));
    }
    if first & 1 == 1 {
        asked.extend(request(6, &[&root, &name, &[1 + (first >> 1 & 1)], &[0; 12]]));
        asked.extend(request(10, &[&[0; 8], &[0; 4], &9000u64.to_le_bytes(), &[0; 5]]));
        asked.extend(request(9, &[&[0; 8], &root, &[0; 4], &[0; 14], &[7; 48], &[0; 4]]));
        asked.extend(request(8, &[&root, &name]));
        asked.extend(request(12, &[]));
    }
    let talk = Talk { disk: RefCell::new(disk), heard: RefCell::new(asked.into()) };
    let _ = shale_volume::fat::serve(&talk);
});
