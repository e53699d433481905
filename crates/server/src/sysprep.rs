//! What makes many machines of one image of Windows: Sysprep, which each of them runs once, at its first start.
//!
//! ```text
//!   layers put on, ours taken out ── what its registry says ─┬─ generalized by Sysprep ──▶ as it is
//!                                                            ├─ what Sysprep would break, or break on ──▶ refused
//!                                                            └─ else ── put_into ──▶ Windows\shale-sysprep.exe (the tool)
//!                                                                                    registry: the service that starts it
//! ```
//!
//! What happens in the machine is told in `crates/guest/src/windows/sysprep.rs`, and why it is done so in docs/decisions/0018.

use crate::examine::{Setup, setup};
use crate::starter;
use crate::tools::Tools;
use shale_disk::{Disk, Error, ErrorKind, Result};
use shale_guest::marks;
use shale_volume::changes::Changes;
use shale_volume::files::Program;
use shale_volume::placed::{self, Placed, What};
use shale_volume::services::{self, Service};
use std::sync::Arc;

/// What Windows starts.
const SERVICE: Service = Service {
    name: marks::SYSPREP_SERVICE,
    title: "Run Sysprep once, at the first start of a machine of a Shale image",
    command: r"%SystemRoot%\shale-sysprep.exe --sysprep",
};

const PROGRAM: &str = "Windows/shale-sysprep.exe";

/// All that decides what a disk with it is, but for the tool.
pub const PARTS: [&str; 4] = [SERVICE.name, SERVICE.title, SERVICE.command, PROGRAM];

/// Windows 11 24H2 and Server 2025, the first whose desktop needs what Sysprep does not do as LocalSystem (Microsoft's article "Fix
/// black screen and missing GUI elements after running sysprep as System in Windows 11").
const FIRST_REFUSED: u32 = 26_100;

/// `GeneralizationState` and `CleanupState` of a Windows in which Sysprep may run: not documented, but all that is written about
/// mending a failed Sysprep says so.
const DONE: (u64, u64) = (7, 2);

/// A Windows that is set up (`ImageState`).
const COMPLETE: &str = "IMAGE_STATE_COMPLETE";

/// The way that is open to every Windows.
const INSTEAD: &str = "in a packaging machine, run Sysprep as an administrator (sysprep /generalize /oobe /shutdown), finalize that, and \
                       publish the version";

/// Sees to it that machines which start from the Windows that `changes` shows are generalized. `now` in seconds since 1970. Answers what
/// a person should know. After an error `changes` is to be thrown away.
pub fn put_into(program: &Program, changes: &Arc<Changes>, tools: &Tools, now: i64) -> Result<Vec<String>> {
    let disk: Arc<dyn Disk> = Arc::new(changes.disk());
    let plan = plan(&setup(program, &disk)?).map_err(|why| Error::new(ErrorKind::Unsupported, why))?;
    starter::take_out(program, changes)?;
    // One of an image that was started before.
    services::take_out(program, changes, SERVICE.name)?;
    if plan.is_run {
        let tool = tools.for_windows().map_err(|e| {
            let text = "Shutdown For Finalize for Windows, which starts Sysprep, cannot be read beside the server's program";
            Error::new(ErrorKind::Unsupported, text).with_source(e)
        })?;
        let placed = Placed { path: PROGRAM, mode: 0o755, what: What::File(tool) };
        placed::put(program, changes, now, |_, _| Ok(vec![placed]))?;
        services::put(program, changes, &SERVICE, now)?;
    }
    Ok(plan.told)
}

/// What is to be done with a Windows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Plan {
    /// Whether its machines run Sysprep.
    is_run: bool,
    /// What a person should know.
    told: Vec<String>,
}

/// The plan, or why there is none.
fn plan(setup: &Setup) -> std::result::Result<Plan, String> {
    let state = setup.image_state.as_deref().unwrap_or(COMPLETE);
    if state.starts_with(marks::GENERALIZED) {
        let told = "Windows was generalized by Sysprep before: the image has it as it is.".to_owned();
        return Ok(Plan { is_run: false, told: vec![told] });
    }
    if state != COMPLETE {
        return Err(format!(
            "Windows is not ready to be generalized: its Setup says {state}. Start it in a packaging machine until it is set up; then, \
             {INSTEAD}"
        ));
    }
    if let Some(domain) = &setup.domain {
        return Err(format!(
            "Windows is a member of {domain}, and Sysprep is for machines that are in no domain: leave it in a packaging machine, \
             finalize that, and publish the version"
        ));
    }
    let build = setup.build.ok_or("which build of Windows this is cannot be told from its registry")?;
    if build >= FIRST_REFUSED {
        return Err(format!(
            "Windows of build {build} (11 24H2, Server 2025 and later) shows a black screen to users where a service ran Sysprep: \
             {INSTEAD}"
        ));
    }
    let mut told = vec![format!(
        "Each machine of this image runs Sysprep at its first start, as LocalSystem, which Microsoft does not support, and restarts. \
         How that went is in {} there.",
        marks::SYSPREP_LOG
    )];
    let (generalized, cleaned) = (setup.sysprep.0.unwrap_or(DONE.0), setup.sysprep.1.unwrap_or(DONE.1));
    if (generalized, cleaned) != DONE {
        told.push(format!(
            "Sysprep ended badly in this Windows before (GeneralizationState {generalized}, CleanupState {cleaned}) and will likely do \
             so again: look at Windows\\System32\\Sysprep\\Panther\\setuperr.log."
        ));
    }
    Ok(Plan { is_run: true, told })
}

#[cfg(test)]
mod tests {
    use super::*;
    use shale_volume::exclude::{Exclusions, Family};

    /// Server 2022, as it is used.
    fn used() -> Setup {
        Setup {
            image_state: Some("IMAGE_STATE_COMPLETE".into()),
            build: Some(20_348),
            domain: None,
            sysprep: (Some(7), Some(2)),
        }
    }

    fn refused(setup: Setup) -> String {
        plan(&setup).unwrap_err()
    }

    #[test]
    fn a_windows_that_is_used_is_given_sysprep_and_one_that_had_it_is_not() {
        let told = plan(&used()).unwrap();
        assert!(told.is_run && told.told.len() == 1, "{told:?}");
        assert!(told.told[0].contains("which Microsoft does not support"), "{told:?}");
        assert!(told.told[0].contains(r"ProgramData\Shale\sysprep.log"), "{told:?}");
        for mode in ["OOBE", "AUDIT"] {
            let state = Some(format!("IMAGE_STATE_GENERALIZE_RESEAL_TO_{mode}"));
            // Its domain and build do not matter any more, and its Sysprep has not come to an end.
            let setup = Setup { image_state: state, build: Some(26_100), sysprep: (Some(4), None), ..used() };
            assert!(!plan(&setup).unwrap().is_run);
        }
    }

    #[test]
    fn what_sysprep_cannot_make_good_is_refused_with_what_to_do() {
        // Without /generalize all its machines would be one.
        for state in ["IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE", "IMAGE_STATE_UNDEPLOYABLE"] {
            let why = refused(Setup { image_state: Some(state.into()), ..used() });
            assert!(why.contains(state) && why.contains("/generalize"), "{why}");
        }
        let why = refused(Setup { domain: Some("EXAMPLE".into()), ..used() });
        assert!(
            why.contains("a member of EXAMPLE") && why.contains("leave it in a packaging machine"),
            "{why}"
        );
        for build in [26_100, 26_200] {
            let why = refused(Setup { build: Some(build), ..used() });
            assert!(why.contains(&build.to_string()) && why.contains("as an administrator"), "{why}");
        }
        assert!(plan(&Setup { build: Some(22_631), ..used() }).is_ok());
        assert!(refused(Setup { build: None, ..used() }).contains("which build"));
    }

    #[test]
    fn a_sysprep_that_ended_badly_is_told() {
        for sysprep in [(Some(3), Some(2)), (Some(7), Some(1))] {
            let plan = plan(&Setup { sysprep, ..used() }).unwrap();
            assert!(plan.is_run && plan.told[1].contains("ended badly"), "{plan:?}");
        }
        assert_eq!(plan(&Setup { sysprep: (None, None), ..used() }), plan(&used()));
    }

    #[test]
    fn nothing_of_it_is_ever_part_of_a_layer() {
        let exclusions = Exclusions::shipped(Family::Windows).unwrap();
        assert!(exclusions.matches(PROGRAM.as_bytes(), false));
        assert!(exclusions.matches(marks::SYSPREP_LOG.replace('\\', "/").as_bytes(), false));
    }
}
