//! Hosts that come and go, sessions that end, certificates that change.

use serde_json::json;
use shale_connector::{ErrorKind, Outcome, Power};
use xapi_sim::{Fault, Rule};

use crate::bench::{Bench, TestDisk};

/// Sessions of connectors on the pool.
fn sessions(bench: &Bench) -> usize {
    let all = bench.sim.all("session").into_values();
    all.filter(|session| session["originator"].text().starts_with("shale-")).count()
}

#[test]
fn a_member_sends_us_to_the_coordinator() {
    let bench = Bench::new();
    let connector = bench.connect_with(|s| s["address"] = bench.sim.member_tls_url().into());
    bench.make(&*connector, &bench.disk()).unwrap();
    assert_eq!(connector.observe(&bench.tag).unwrap().power, Power::Off);
}

#[test]
fn when_the_coordinator_is_lost_the_next_one_is_found_also_after_a_restart() {
    let bench = Bench::new();
    let connector = bench.connect();
    bench.make(&*connector, &bench.disk()).unwrap();
    bench.sim.fail_over();
    assert_eq!(connector.observe(&bench.tag).unwrap().name, "tiny");
    // A new connector is told of the host that is gone, and remembers the others.
    let restarted = bench.connect();
    assert_eq!(restarted.observe(&bench.tag).unwrap().name, "tiny");
    assert!(sessions(&bench) <= 1);
    // The lost host is back, as a member.
    bench.sim.recover();
    assert_eq!(bench.connect().observe(&bench.tag).unwrap().name, "tiny");
    connector.remove(&bench.tag).unwrap();
    bench.is_clean(&*connector);
}

#[test]
fn wherever_the_coordinator_is_lost_in_a_life_it_goes_on_with_the_next() {
    let calls = {
        let bench = Bench::new();
        bench.connect().inventory().unwrap();
        let before = bench.sim.calls();
        life(&bench);
        before..bench.sim.calls()
    };
    // Each fifth call: which ones differ from run to run of the suite only with the connector.
    for nth in calls.step_by(5) {
        let bench = Bench::new();
        bench.connect().inventory().unwrap();
        let nth = nth - bench.sim.calls() + 1;
        bench.sim.fault(Rule { call: "*".into(), nth, times: 1, fault: Fault::CoordinatorLost });
        println!("call {nth}");
        life(&bench);
    }
}

/// A machine is made, runs, and goes; each step is tried again, as a task does.
fn life(bench: &Bench) {
    let connector = bench.connect();
    let disk = TestDisk::new(&bench.folder, "small.raw", 4 << 20, &[(0, 300_000, 1)]);
    again(|| bench.make(&*connector, &disk));
    again(|| connector.power_on(&bench.tag));
    assert_eq!(again(|| connector.observe(&bench.tag)).power, Power::Running);
    again(|| connector.remove(&bench.tag));
    bench.sim.clear_faults();
    // What a lost reply hid is found by the sweep.
    connector.inventory().unwrap().iter().for_each(|tag| connector.remove(tag).unwrap());
}

#[track_caller]
fn again<T>(step: impl Fn() -> shale_connector::Result<T>) -> T {
    let mut last = None;
    for _ in 0..4 {
        match step() {
            Ok(done) => return done,
            Err(e) => last = Some(e),
        }
    }
    panic!("{last:?}")
}

#[test]
fn a_member_that_left_the_pool_is_not_asked_any_more() {
    let bench = Bench::new();
    let connector = bench.connect();
    bench.make(&*connector, &bench.disk()).unwrap();
    bench.sim.eject_member();
    // What is remembered is brought up to date with the next login.
    connector.disconnect();
    connector.inventory().unwrap();
    let known = std::fs::read_to_string(bench.folder.path().join("connector/pool.json")).unwrap();
    assert!(known.contains("127.0.0.1") && !known.contains("127.0.0.2"), "{known}");
    // Configured with the host that left: it is another pool now, or none.
    let left = bench.connect_with(|s| s["address"] = bench.sim.member_tls_url().into());
    assert!(left.observe(&bench.tag).map(|seen| seen.power != Power::Off).unwrap_or(true));
}

#[test]
fn a_session_that_ended_is_begun_anew_and_there_is_never_more_than_one() {
    let bench = Bench::new();
    let connector = bench.connect();
    bench.make(&*connector, &bench.disk()).unwrap();
    bench.fault("VM.get_record", 1, Fault::SessionLost(0));
    assert_eq!(connector.observe(&bench.tag).unwrap().power, Power::Off);
    assert_eq!(sessions(&bench), 1);
    for _ in 0..3 {
        assert_eq!(bench.connect().observe(&bench.tag).unwrap().power, Power::Off);
    }
    assert_eq!(sessions(&bench), 1, "restarts go on with the session that there is");
    connector.disconnect();
    assert_eq!(sessions(&bench), 0);
    assert_eq!(connector.observe(&bench.tag).unwrap().power, Power::Off, "it connects again when needed");
    connector.disconnect();
}

#[test]
fn a_connection_that_is_refused_for_a_moment_does_not_cost_a_session() {
    let bench = Bench::new();
    let connector = bench.connect();
    bench.make(&*connector, &bench.disk()).unwrap();
    for call in ["VM.get_record", "VDI.get_record", "VM.get_record"] {
        bench.fault(call, 1, Fault::Refuse);
        connector.observe(&bench.tag).unwrap();
    }
    bench.sim.fail_over();
    connector.observe(&bench.tag).unwrap();
    assert_eq!(sessions(&bench), 1);
}

#[test]
fn settings_that_were_only_tried_leave_no_session() {
    let bench = Bench::new();
    let connector = bench.connect();
    assert!(connector.test().iter().all(|check| check.outcome != Outcome::Failed), "{:?}", connector.test());
    connector.disconnect();
    assert_eq!(sessions(&bench), 0);
}

#[test]
fn answers_that_were_lost_are_asked_for_again_but_deeds_are_not_done_twice() {
    let bench = Bench::new();
    let connector = bench.connect();
    let disk = bench.disk();
    for question in ["VDI.get_all_records", "VM.get_all_records", "VDI.get_record", "event.from"] {
        bench.fault(question, 1, Fault::LoseReply);
    }
    bench.make(&*connector, &disk).unwrap();
    bench.fault("VM.add_to_other_config", 1, Fault::LoseReply);
    if connector.power_on(&bench.tag).is_err() {
        connector.power_on(&bench.tag).unwrap();
    }
    assert_eq!(connector.observe(&bench.tag).unwrap().power, Power::Running);
}

#[test]
fn a_key_that_is_there_already_is_no_obstacle() {
    let bench = Bench::new();
    let connector = bench.connect();
    bench.make(&*connector, &bench.disk()).unwrap();
    let duplicate = ["MAP_DUPLICATE_KEY", "VM", "other_config", "OpaqueRef:1", "shale:powered_on"];
    let duplicate = duplicate.map(str::to_owned).to_vec();
    bench.fault("VM.add_to_other_config", 1, Fault::ErrorAfter(duplicate));
    connector.power_on(&bench.tag).unwrap();
    assert_eq!(connector.observe(&bench.tag).unwrap().power, Power::Running);
}

#[test]
fn a_certificate_that_nobody_confirmed_is_refused_with_its_fingerprint_and_can_be_confirmed() {
    let bench = Bench::new();
    let unknown = bench.connect_with(|s| s["fingerprint"] = "".into());
    let error = unknown.inventory().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains(&bench.fingerprint()), "{error}");
    let checks = unknown.test();
    let [check] = &checks[..] else { panic!("{checks:?}") };
    assert_eq!((check.name.as_str(), check.outcome), ("certificate", Outcome::Failed));
    let fix = check.fix.as_ref().unwrap();
    assert_eq!((fix.field.as_str(), &fix.value), ("fingerprint", &bench.fingerprint()));
    assert!(fix.question.contains(&fix.value) && fix.question.contains("openssl"), "{}", fix.question);
    assert_eq!(sessions(&bench), 0, "no password was sent");
    let confirmed = bench.connect_with(|s| s["fingerprint"] = fix.value.clone().into());
    confirmed.inventory().unwrap();
}

#[test]
fn a_certificate_that_is_not_the_confirmed_one_is_refused() {
    let bench = Bench::new();
    let other = "11:".repeat(31) + "11";
    let connector = bench.connect_with(|s| s["fingerprint"] = other.into());
    let error = connector.inventory().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("not the one that was confirmed"), "{error}");
    assert_eq!(sessions(&bench), 0, "no password was sent");
}

#[test]
fn a_certificate_of_an_authority_that_this_server_trusts_needs_no_confirmation() {
    // Another process, since what is trusted is the process's.
    const INSIDE: &str = "SHALE_TEST_AUTHORITY";
    const NAME: &str = "pools::a_certificate_of_an_authority_that_this_server_trusts_needs_no_confirmation";
    if std::env::var_os(INSIDE).is_some() {
        let settings = std::fs::read_to_string(std::env::var_os(INSIDE).unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let settings = serde_json::from_str(&settings).unwrap();
        let connector = shale_connector::open("xenserver", &settings, folder.path()).unwrap();
        connector.inventory().unwrap();
        return;
    }
    let bench = Bench::new();
    let mut settings = bench.settings();
    settings["fingerprint"] = json!("");
    let file = bench.folder.path().join("settings.json");
    std::fs::write(&file, settings.to_string()).unwrap();
    let authorities = bench.folder.path().join("authorities.pem");
    std::fs::write(&authorities, bench.sim.certificate()).unwrap();
    let inside = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(INSIDE, file)
        .env("SSL_CERT_FILE", authorities)
        .output()
        .unwrap();
    assert!(inside.status.success(), "{}", String::from_utf8_lossy(&inside.stderr));
}
