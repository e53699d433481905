//! Listening: a thread that accepts, and one for each connection, all of which end when they are told to.

use super::{Connection, routes};
use crate::pool::{Pool, lock};
use rustls::ServerConfig;
use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// Most connections to the pool at one time.
const MOST: usize = 800;

/// The open connections of all hosts.
#[derive(Debug, Default)]
pub struct Connections {
    next: AtomicU64,
    open: Mutex<BTreeMap<u64, (String, TcpStream)>>,
}

impl Connections {
    fn add(&self, host: &str, socket: &TcpStream) -> io::Result<Option<u64>> {
        let mut open = lock(&self.open);
        if open.len() >= MOST {
            return Ok(None);
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        open.insert(id, (host.to_owned(), socket.try_clone()?));
        Ok(Some(id))
    }

    fn remove(&self, id: u64) {
        lock(&self.open).remove(&id);
    }

    /// Cuts every connection of a host; of all hosts if none is named.
    pub fn cut(&self, host: Option<&str>) {
        for (of, socket) in lock(&self.open).values() {
            if host.is_none_or(|host| host == of) {
                let _ = socket.shutdown(Shutdown::Both); // it may be gone already
            }
        }
    }
}

/// A port of a host that is listened on.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens for a host.
    pub fn start(
        pool: Arc<Pool>,
        host: String,
        socket: TcpListener,
        tls: Option<Arc<ServerConfig>>,
    ) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let run = move || {
            while let Ok((connection, _)) = socket.accept() {
                if pool.is_stopping() {
                    break;
                }
                if !pool.is_down(&host) {
                    accept(&pool, &host, connection, tls.clone());
                }
            }
        };
        Ok(Self {
            address,
            thread: Some(thread::Builder::new().name(format!("listen {address}")).spawn(run)?),
        })
    }

    /// Ends, once the pool is stopping.
    pub fn stop(&mut self) {
        drop(TcpStream::connect(self.address)); // wakes the thread
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic in it was already told
        }
    }
}

fn accept(pool: &Arc<Pool>, host: &str, socket: TcpStream, tls: Option<Arc<ServerConfig>>) {
    let Ok(Some(id)) = pool.connections.add(host, &socket) else { return };
    let (pool, host) = (pool.clone(), host.to_owned());
    let run = move || {
        if let Ok(mut connection) = Connection::new(socket, tls) {
            match routes::serve(&pool, &host, &mut connection) {
                Ok(()) => connection.finish(),
                Err(_) => connection.cut(), // a broken connection has nobody to be told
            }
        }
        pool.connections.remove(id);
    };
    // Where no thread can be had the connection is simply closed.
    let _ = thread::Builder::new().name("connection".to_owned()).spawn(run);
}
