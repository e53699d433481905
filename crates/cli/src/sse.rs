//! Server-sent events, the part of the format that matters here (HTML Living Standard, section 9.2.6).
//!
//! ```text
//! id: 41                  a line is `field: value`; a line that starts with a colon is a comment (heartbeat)
//! event: task
//! data: {"seq":41, …}     several data lines are joined with line feeds
//!                         an empty line ends the message; one without data is dropped
//! ```

use crate::failure::{Exit, Failure};

/// The longest line and the most data of one message that is taken.
const LONGEST: usize = 4 << 20;

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Where to resume after it.
    pub id: Option<String>,
    /// What it carries.
    pub data: String,
}

/// Takes a stream in pieces of any size.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    message: Message,
    has_data: bool,
    /// A line feed right after a carriage return belongs to the same line end.
    after_return: bool,
}

impl Parser {
    /// The messages that `bytes` complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Message>, Failure> {
        let mut messages = Vec::new();
        for &byte in bytes {
            let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => messages.extend(self.end_of_line()),
                _ => self.line.push(byte),
            }
            if self.line.len() + self.message.data.len() > LONGEST {
                return Err(Failure::new(Exit::Failed, "the server sent an event that is too long"));
            }
        }
        Ok(messages)
    }

    fn end_of_line(&mut self) -> Option<Message> {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        if line.is_empty() {
            let message = std::mem::take(&mut self.message);
            return std::mem::take(&mut self.has_data).then_some(message);
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" if !value.contains('\0') => self.message.id = Some(value.to_owned()),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.message.data.push('\n');
                }
                self.message.data.push_str(value);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        b": heartbeat\r\n\r\nid: 41\nevent: task\ndata: {\"a\":\ndata:1}\n\nevent: x\n\nid:42\rdata: b\xc3\xa4\r\r";

    fn expected() -> Vec<Message> {
        vec![
            Message { id: Some("41".into()), data: "{\"a\":\n1}".into() },
            Message { id: Some("42".into()), data: "bä".into() },
        ]
    }

    #[test]
    fn messages_come_out_whatever_the_pieces_are() {
        for size in 1..=STREAM.len() {
            let mut parser = Parser::default();
            let mut messages = Vec::new();
            for piece in STREAM.chunks(size) {
                messages.extend(parser.feed(piece).unwrap());
            }
            assert_eq!(messages, expected(), "pieces of {size}");
        }
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut parser = Parser::default();
        assert!(parser.feed(&vec![b'x'; LONGEST]).is_ok());
        assert!(parser.feed(b"x").is_err());
    }
}
