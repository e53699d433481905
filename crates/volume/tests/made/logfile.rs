//! How Windows leaves a volume of NTFS that it did not shut down.

/// Where `$LogFile` begins, and how long it is, from what sleuthkit's `istat` tells of it.
pub fn place(told: &str) -> (u64, u64) {
    let mut lines = told.lines().skip_while(|line| !line.starts_with("Type: $DATA"));
    let number = |text: &str| text.split_whitespace().next().unwrap().parse::<u64>().unwrap();
    let length = number(lines.next().unwrap().split(" size: ").nth(1).unwrap());
    let cluster = number(lines.next().unwrap());
    (cluster * 4096, length)
}

/// Where the flags of `$Volume` lie, behind its version 3.1: in its record, and in the copy of that. 1 is dirty.
pub fn flags(image: &[u8]) -> Vec<u64> {
    let records = (0..).zip(image.chunks(1024));
    let records = records.filter(|(_, record)| record.starts_with(b"FILE") && record[44..48] == [3, 0, 0, 0]);
    let version = |record: &[u8]| record.windows(4).position(|part| part == [3, 1, 0, 0]).unwrap() as u64;
    records.map(|(number, record)| number * 1024 + version(record) + 2).collect()
}

/// The first page of a log of this length whose one client has not left.
pub fn in_use(length: u64) -> Vec<u8> {
    const NONE: u16 = 0xffff;
    let mut page = vec![0; 4096];
    let mut put = |at: usize, bytes: &[u8]| page[at..at + bytes.len()].copy_from_slice(bytes);
    // The page: sizes, where its area begins, version 1.1; each sector ends with a mark.
    put(0, b"RSTR");
    for (at, value) in [(4, 30u16), (6, 9), (24, 48), (26, 1), (28, 1), (30, 1)] {
        put(at, &value.to_le_bytes());
    }
    for at in [16, 20] {
        put(at, &4096u32.to_le_bytes());
    }
    for sector in 1..=8 {
        put(sector * 512 - 2, &1u16.to_le_bytes());
    }
    // Its area: one client, of which none is free and the first is in use.
    for (at, value) in [(56, 1), (58, NONE), (60, 0), (68, 208u16), (70, 48), (84, 48), (86, 64)] {
        put(at, &value.to_le_bytes());
    }
    put(64, &(67 - (u64::BITS - length.leading_zeros())).to_le_bytes());
    put(72, &length.to_le_bytes());
    for at in [112, 114] {
        put(at, &NONE.to_le_bytes());
    }
    page
}
