//! The fake, as the detector meets it.

use timejump::{
    clock::WallNs,
    node::apiserver::{Apiserver as Client, ApiserverClock, DatesOff, Sighting},
};

use super::*;
use crate::sys::{SECOND, clock::boot_ns};

const OFFSET: i64 = 1_700_000_000 * SECOND;

struct Rig {
    runtime: tokio::runtime::Runtime,
    fake: Apiserver,
    _directory: tempfile::TempDir,
}

impl Rig {
    fn new(certified: Certified) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings { certified, ..Settings::with_offset(OFFSET) };
        let fake = Apiserver::start(&directory.path().join("ca.crt"), &settings).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, fake, _directory: directory }
    }

    fn ask(&self) -> Result<Sighting, String> {
        let client = Client::new(&self.fake.url(), Some(self.fake.ca_file().into())).unwrap();
        let wall = WallNs(i128::from(OFFSET + boot_ns()));
        self.runtime.block_on(client.probe(wall)).map_err(|error| error.failure.to_string())
    }
}

#[test]
fn its_clock_is_its_own() {
    let rig = Rig::new(Certified::default());
    let mut clock = ApiserverClock::new();
    assert!(clock.see(&rig.ask().unwrap()).stepped.is_none());
    rig.fake.step(-3600 * SECOND);
    let seen = clock.see(&rig.ask().unwrap());
    assert!(seen.own && seen.stepped.unwrap().0 < -3598 * SECOND, "{seen:?}");
    let now = timejump::clock::BootNs(boot_ns().cast_unsigned());
    let estimate = clock.offset(now).unwrap();
    assert!(estimate.offset.0.abs_diff(rig.fake.offset()) <= estimate.error_ns, "{estimate:?}");
    rig.fake.set_offset(OFFSET);
    assert_eq!(rig.fake.wall_ns() / (60 * SECOND), (OFFSET + boot_ns()) / (60 * SECOND));
    assert_eq!((rig.fake.requests()["/livez"], rig.fake.requested(), rig.fake.authorized()), (2, 2, 0));
}

#[test]
fn its_faults() {
    let mut rig = Rig::new(Certified::default());
    for (manner, want) in [
        (Manner::Hang, "no answer within 5 s"),
        (Manner::Garbage, "it does not speak HTTP: "),
        (Manner::NoDate, "its answer, 200, has no Date header"),
        (Manner::NoTls, "it does not speak TLS"),
    ] {
        rig.fake.behave(manner);
        let error = rig.ask().unwrap_err();
        assert!(error.starts_with(want), "{manner:?}: {error}");
    }
    rig.fake.behave(Manner::Serve);
    rig.fake.down();
    assert_eq!(rig.ask().unwrap_err(), "connection refused");
    rig.fake.up().unwrap();
    rig.ask().unwrap();
}

#[test]
fn its_certificates() {
    let rig = Rig::new(Certified { names: vec!["10.96.0.1".into()], ..Certified::default() });
    assert_eq!(rig.ask().unwrap_err(), "its certificate is not for this name, but for 10.96.0.1");
    for (not_before, not_after, off) in [
        (0, OFFSET - 86_400 * SECOND, Some(DatesOff::Expired)),
        (i64::MAX / 2, i64::MAX, Some(DatesOff::NotValidYet)),
        (0, i64::MAX, None),
    ] {
        rig.fake.certify(&Certified { not_before, not_after, ..Certified::default() }).unwrap();
        assert_eq!(rig.ask().unwrap().certificate.unwrap().off, off);
    }
}
