//! `publish_image`: a template's versions become one bootable disk.
//!
//! ```text
//!   reserve ▶ compose ▶ write ▶ boot ▶ upload ▶ place ▶ commit
//!      │         │        │       │        │       └── one rename
//!      │         │        │       │        └── to the platform, as a machine that stays      (only where it takes images)
//!      │         │        │       └── a machine of the image's own, and what was seen of its guest; gone after
//!      │         │        └── beside the destination, durable          (only where a path was given)
//!      │         └── in the repository, for this and the next image: once whole it stays, the sweep lets go of it in time
//!      └── the image's row, `publishing`
//! ```

use super::add_version::{TRIES, UNDO_TRIES, since};
use super::compose::{self, COMPOSE};
use super::export::{self, ExportInput};
use super::{OrFail, RESERVE, change};
use crate::catalog::{ConnectorRow, ImageRow};
use crate::composition::Composition;
use crate::stored::StoredDisk;
use crate::world::World;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shale_api::{BootReport, ImageReport, PlatformReport};
use shale_connector::{Connector, Firmware, MachineSpec, Observed, Origin, Power, Tag};
use shale_task::{Context, Kind, Outcome, Step, StepError};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long a guest may take until it is up.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// How often it is looked at.
const ROUND: Duration = Duration::from_secs(2);
/// What is waited for. A guest with a getty shows both signs, Windows the first one only, and that only with OpenSSH Server.
const WAITING: &str = "Waiting until the guest's SSH port answers or its login prompt is on its serial port. \
                       Windows shows itself by SSH only.";
/// What was not seen when the time was over.
const UNSEEN: &str = "its SSH port did not answer, and no login prompt was on its serial port. \
                      Windows shows itself by SSH only, where OpenSSH Server is installed";
/// How much of the end of a serial log is read.
const TAIL: u64 = 64 << 10;

/// What publishing must know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PublishInput {
    /// The image; also the tag of the machine that tries whether it boots, and of the one that it is on a platform.
    pub image_id: Uuid,
    /// The template.
    pub template_id: Uuid,
    /// The image's name.
    pub name: String,
    /// Its disk.
    pub composition: Composition,
    /// A disk format's name.
    pub format: String,
    /// Where the disk is written on this host, if it is.
    pub path: Option<PathBuf>,
    /// How it starts.
    pub firmware: Firmware,
    /// On which connector it is tried whether it boots, if it is.
    pub boot: Option<Uuid>,
    /// To which connector it is sent, if it is.
    #[serde(default)]
    pub connector_id: Option<Uuid>,
}

impl PublishInput {
    /// The machine that has its disk, on a platform of this kind.
    fn spec(&self, kind: &str) -> MachineSpec {
        let disk_size = self.composition.disk_size.next_multiple_of(shale_connector::disk_unit(kind));
        MachineSpec { name: self.name.clone(), disk_size, firmware: self.firmware }
    }

    /// The file to be written, as an export of the composition.
    fn file(&self) -> Option<ExportInput> {
        Some(ExportInput {
            version_id: self.composition.id,
            format: self.format.clone(),
            path: self.path.clone()?,
            overwrite: false,
        })
    }
}

pub(super) fn kind() -> Kind<World> {
    Kind::new(
        "publish_image",
        vec![
            Box::new(Reserve),
            Box::new(Compose),
            Box::new(Write),
            Box::new(Boot),
            Box::new(Upload),
            Box::new(Place),
            Box::new(Commit),
        ],
    )
}

struct Reserve;

impl Step<World> for Reserve {
    fn name(&self) -> &'static str {
        RESERVE
    }

    fn run(&self, _: &World, _: &Context) -> Result<Outcome, StepError> {
        Err(StepError::never("The request that made this task must have reserved the image's name."))
    }

    fn undo(&self, world: &World, cx: &Context) -> Result<(), StepError> {
        let input: PublishInput = cx.input_as()?;
        change(world, async |tx| ImageRow::delete(tx, input.image_id).await)
    }
}

struct Compose;

impl Step<World> for Compose {
    fn name(&self) -> &'static str {
        COMPOSE
    }

    fn run(&self, world: &World, cx: &Context) -> Result<Outcome, StepError> {
        let input: PublishInput = cx.input_as()?;
        compose::ensure(world, cx, &input.composition).map(Outcome::Done)
    }

    fn undo(&self, world: &World, cx: &Context) -> Result<(), StepError> {
        let input: PublishInput = cx.input_as()?;
        compose::undo(world, &input.composition)
    }
}

struct Write;

impl Step<World> for Write {
    fn name(&self) -> &'static str {
        "write"
    }

    fn run(&self, world: &World, cx: &Context) -> Result<Outcome, StepError> {
        let input: PublishInput = cx.input_as()?;
        Ok(Outcome::Done(match input.file() {
            Some(file) => export::write(world, cx, &file)?,
            None => Value::Null,
        }))
    }

    fn undo(&self, _: &World, cx: &Context) -> Result<(), StepError> {
        let input: PublishInput = cx.input_as()?;
        input.file().map_or(Ok(()), |file| export::remove_part(cx, &file))
    }
}

struct Place;

impl Step<World> for Place {
    fn name(&self) -> &'static str {
        "place"
    }

    fn run(&self, _: &World, cx: &Context) -> Result<Outcome, StepError> {
        let input: PublishInput = cx.input_as()?;
        if let Some(file) = input.file() {
            export::place(cx, &file, &cx.output_as(Write.name())?)?;
        }
        Ok(Outcome::Done(Value::Null))
    }

    fn undo(&self, _: &World, cx: &Context) -> Result<(), StepError> {
        let input: PublishInput = cx.input_as()?;
        match input.file() {
            Some(file) => export::take_back(cx, &file, &cx.output_as(Write.name())?),
            None => Ok(()),
        }
    }
}

struct Upload;

/// The platform that an image is sent to, and the tag that it has there.
type Destination = (Arc<dyn Connector>, Tag);

impl Upload {
    /// `None`: the image is not sent anywhere.
    fn to(world: &World, input: &PublishInput) -> Result<Option<Destination>, StepError> {
        let Some(connector) = input.connector_id else { return Ok(None) };
        let connector = world.connector_by_id(connector).or_fail()?;
        Ok(Some((connector, Tag::parse(&input.image_id.to_string()).or_fail()?)))
    }
}

impl Step<World> for Upload {
    fn name(&self) -> &'static str {
        "upload"
    }

    fn tries(&self) -> u32 {
        TRIES
    }

    fn undo_tries(&self) -> u32 {
        UNDO_TRIES
    }

    fn run(&self, world: &World, cx: &Context) -> Result<Outcome, StepError> {
        let input: PublishInput = cx.input_as()?;
        let Some((connector, tag)) = Self::to(world, &input)? else { return Ok(Outcome::Done(Value::Null)) };
        let id = input.composition.id;
        let disk = world.repository.version(id.into()).or_fail()?;
        let total = AtomicU64::new(0);
        let spec = input.spec(connector.kind());
        let origin = Origin {
            id: Tag::parse(&id.to_string()).or_fail()?,
            disk: &StoredDisk(disk.clone()),
            since: &|other| since(world, &disk, other),
            total: &|bytes| total.store(bytes, Ordering::Relaxed),
            serve: world.serve_command(id, spec.disk_size),
        };
        let watch = cx.watch_until(|| Some(total.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0));
        let published = connector.publish(&tag, &spec, &origin, &watch).or_fail()?;
        Ok(Outcome::Done(json!({ "note": published.how, "place": published.place })))
    }

    fn undo(&self, world: &World, cx: &Context) -> Result<(), StepError> {
        let input: PublishInput = cx.input_as()?;
        match Self::to(world, &input)? {
            Some((connector, tag)) => connector.remove(&tag).or_fail(),
            None => Ok(()),
        }
    }
}

struct Boot;

impl Step<World> for Boot {
    fn name(&self) -> &'static str {
        "boot"
    }

    fn run(&self, world: &World, cx: &Context) -> Result<Outcome, StepError> {
        let input: PublishInput = cx.input_as()?;
        let Some(trial) = Trial::of(world, &input)? else { return Ok(Outcome::Done(Value::Null)) };
        trial.start(world, cx, &input)?;
        let report = trial.watch(cx)?;
        trial.remove()?;
        Ok(Outcome::Done(json!({ "note": report.text, "report": report })))
    }

    fn undo(&self, world: &World, cx: &Context) -> Result<(), StepError> {
        let input: PublishInput = cx.input_as()?;
        Trial::of(world, &input)?.map_or(Ok(()), |trial| trial.remove())
    }
}

/// The machine that tries whether an image boots.
struct Trial {
    connector: Arc<dyn Connector>,
    tag: Tag,
}

impl Trial {
    /// None: nobody asked for it.
    fn of(world: &World, input: &PublishInput) -> Result<Option<Self>, StepError> {
        let Some(connector) = input.boot else { return Ok(None) };
        let connector = world.connector_by_id(connector).or_fail()?;
        Ok(Some(Self { connector, tag: Tag::parse(&input.image_id.to_string()).or_fail()? }))
    }

    /// The machine reads the composition, and writes elsewhere: the image stays as it is.
    fn start(&self, world: &World, cx: &Context, input: &PublishInput) -> Result<(), StepError> {
        let id = input.composition.id;
        let disk = StoredDisk(world.repository.version(id.into()).or_fail()?);
        let spec = input.spec(self.connector.kind());
        let origin = Origin {
            id: Tag::parse(&id.to_string()).or_fail()?,
            disk: &disk,
            since: &|_| None,
            total: &|_| {},
            serve: world.serve_command(id, spec.disk_size),
        };
        self.connector.ensure_disk(&self.tag, &spec, &origin, &cx.watch(None)).or_fail()?;
        self.connector.ensure_machine(&self.tag, &spec).or_fail()?;
        self.connector.power_on(&self.tag).or_fail()
    }

    fn watch(&self, cx: &Context) -> Result<BootReport, StepError> {
        let started = Instant::now();
        let report = |came_up, text| BootReport { came_up, seconds: started.elapsed().as_secs(), text };
        loop {
            if cx.canceled() {
                return Err(StepError::stopped());
            }
            let seen = self.connector.observe(&self.tag).or_fail()?;
            if let Some(text) = sign_of_life(&seen) {
                return Ok(report(true, text));
            }
            let last = seen.serial_log.as_deref().and_then(last_line);
            let last =
                last.map(|line| format!(" The last it wrote to its serial port: {line}")).unwrap_or_default();
            if matches!(seen.power, Power::Off | Power::Absent) {
                return Ok(report(false, format!("The guest powered itself off before it was up.{last}")));
            }
            if started.elapsed() > LONGEST {
                let minutes = LONGEST.as_secs() / 60;
                return Ok(report(
                    false,
                    format!("The guest was not up after {minutes} minutes: {UNSEEN}.{last}"),
                ));
            }
            cx.note(WAITING);
            std::thread::sleep(ROUND);
        }
    }

    fn remove(&self) -> Result<(), StepError> {
        self.connector.remove(&self.tag).or_fail()
    }
}

/// What shows that a guest is up, in a sentence.
fn sign_of_life(seen: &Observed) -> Option<String> {
    if seen.ssh.is_some_and(greets) {
        return Some("The guest's SSH port answers.".into());
    }
    let log = seen.serial_log.as_deref().and_then(tail)?;
    log.windows(LOGIN.len()).any(|part| part == LOGIN).then(|| "The guest shows its login prompt.".into())
}

/// What a getty writes behind the host's name.
const LOGIN: &[u8] = b"login:";

/// Whether an SSH server answers there. A forwarded port takes connections whether or not anybody listens in the guest.
fn greets(address: SocketAddr) -> bool {
    let patience = Duration::from_secs(3);
    let Ok(mut stream) = TcpStream::connect_timeout(&address, patience) else { return false };
    let mut banner = [0; 4];
    stream.set_read_timeout(Some(patience)).is_ok()
        && stream.read_exact(&mut banner).is_ok()
        && &banner == b"SSH-"
}

/// The end of a log.
fn tail(log: &Path) -> Option<Vec<u8>> {
    let mut file = File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The last line of a log that says something, as people can read it. A guest wrote it.
fn last_line(log: &Path) -> Option<String> {
    let bytes = tail(log)?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().filter(|c| !c.is_control()).take(200).collect())
}

struct Commit;

impl Step<World> for Commit {
    fn name(&self) -> &'static str {
        "commit"
    }

    fn last_word(&self) -> bool {
        true
    }

    fn run(&self, world: &World, cx: &Context) -> Result<Outcome, StepError> {
        let input: PublishInput = cx.input_as()?;
        let mut report: ImageReport = cx.output_as(COMPOSE)?;
        let boot = cx.output(Boot.name()).and_then(|output| output.get("report"));
        report.boot = boot.and_then(|report| serde_json::from_value(report.clone()).ok());
        report.platform = platform_report(world, cx, &input)?;
        change(world, async |tx| ImageRow::finish(tx, input.image_id, &report).await)?;
        Ok(Outcome::Done(json!({
            "image_id": input.image_id,
            "name": input.name,
            "composition_id": input.composition.id,
            "path": input.path,
            "note": report.note,
            "boot": report.boot,
            "platform": report.platform,
        })))
    }

    fn undo(&self, world: &World, cx: &Context) -> Result<(), StepError> {
        Reserve.undo(world, cx)
    }
}

/// Where the image is on its platform.
fn platform_report(
    world: &World,
    cx: &Context,
    input: &PublishInput,
) -> Result<Option<PlatformReport>, StepError> {
    let Some(id) = input.connector_id else { return Ok(None) };
    let known = world.wait(async { ConnectorRow::get(&mut world.catalog.read().await?, id).await });
    let connector_name = known.or_fail()?.map(|row| row.name).unwrap_or_default();
    let output = cx.output(Upload.name());
    let told = |field: &str| output.and_then(|output| output[field].as_str()).unwrap_or_default().to_owned();
    Ok(Some(PlatformReport { connector_name, place: told("place"), text: told("note") }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::net::TcpListener;

    fn log(text: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        file
    }

    #[test]
    fn a_guest_is_up_when_it_shows_its_login_prompt() {
        let up = log(&[&vec![b'x'; 100_000][..], b"\r\nDebian 12 host ttyS0\r\n\r\nhost login: "].concat());
        let seen = |log: &Path| Observed { serial_log: Some(log.into()), ..Observed::absent() };
        assert!(sign_of_life(&seen(up.path())).unwrap().contains("login prompt"));
        let booting = log(b"[    1.0] Run /sbin/init\x1b[0m\nKernel panic\n\n");
        assert_eq!(sign_of_life(&seen(booting.path())), None);
        assert_eq!(last_line(booting.path()).unwrap(), "Kernel panic");
        assert_eq!(sign_of_life(&Observed::absent()), None);
    }

    #[test]
    fn a_port_that_takes_connections_is_no_ssh_server_until_it_greets() {
        for (greeting, up) in [(&b"SSH-2.0-OpenSSH\r\n"[..], true), (b"220 ftp\r\n", false), (b"", false)] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server =
                std::thread::spawn(move || listener.accept().unwrap().0.write_all(greeting).unwrap());
            assert_eq!(greets(address), up, "{greeting:?}");
            server.join().unwrap();
        }
    }
}
