//! What a file system knows of an entry.

use super::Attributes;

/// A moment: seconds from the beginning of 1970 and nanoseconds. NTFS keeps hundreds of nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    /// Seconds, negative before 1970.
    pub seconds: i64,
    /// Less than a thousand million.
    pub nanoseconds: u32,
}

/// What kind of entry it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A file.
    File,
    /// A symbolic link. Those of NTFS are files or folders with reparse data.
    Link {
        /// Where it leads, as it stands there.
        target: Vec<u8>,
    },
    /// A device of characters.
    Characters {
        /// Which driver.
        major: u32,
        /// Which of its devices.
        minor: u32,
    },
    /// A device of blocks.
    Blocks {
        /// Which driver.
        major: u32,
        /// Which of its devices.
        minor: u32,
    },
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
}

/// Numbers that every entry has. On NTFS only the times mean something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Permissions with set-id and sticky bits: the low twelve bits of the mode.
    pub mode: u16,
    /// User id.
    pub owner: u32,
    /// Group id.
    pub group: u32,
    /// Flags that a person can set (`chattr`): immutable, append only, no dump and so on.
    pub flags: u32,
    /// When the content changed.
    pub modified: Moment,
    /// When it was read.
    pub accessed: Moment,
    /// When content or metadata changed.
    pub changed: Moment,
    /// When it was made; zero where the file system does not know.
    pub born: Moment,
}

/// A stream of bytes: the one without a name is a file's content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stream {
    /// Empty for the content itself.
    pub name: Vec<u8>,
    /// Bytes.
    pub size: u64,
}

/// An entry of a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Inode or file record: what several names of one file have in common.
    pub node: u64,
    /// What it is.
    pub kind: Kind,
    /// Modes, owners, times.
    pub facts: Facts,
    /// How many names it has; of a folder on ext, also its subfolders'.
    pub links: u32,
    /// Everything else.
    pub attributes: Attributes,
    /// Its streams, sorted. A folder of NTFS can have named ones.
    pub streams: Vec<Stream>,
}

/// A piece of content: bytes of a stream and where they lie, from the first byte of the file system on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// First byte in the stream.
    pub logical: u64,
    /// First byte in the file system.
    pub physical: u64,
    /// Bytes; never 0.
    pub length: u64,
}

/// Where a stream's content lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// Whether the pieces are the content. If not, they are what it is compressed or encrypted to, or it lies among metadata.
    pub direct: bool,
    /// It lies in its file's record (NTFS), and the pieces are where that is: where they did not change, it is what it was.
    pub in_record: bool,
    /// Bytes of the stream.
    pub size: u64,
    /// In order and apart; what is between them reads as zero. The last may end behind the size.
    pub pieces: Vec<Piece>,
}
