//! What somebody must say to be told of.

use memchr::memmem::Finder;

/// Of a process's name this much is kept (`TASK_COMM_LEN` − 1).
const COMM: usize = 15;

/// Whose words are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Of these.
    pub of: Vec<Speaker>,
    /// Whoever says one of these.
    pub of_anybody: Vec<String>,
}

/// Somebody by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// A process's name, or what it calls itself.
    pub name: String,
    /// What it must say one of. Empty: all it says.
    pub texts: Vec<String>,
}

impl Speaker {
    /// All that `name` says.
    pub fn all(name: &str) -> Self {
        Self::of(name, &[])
    }

    /// What `name` says that contains one of `texts`.
    pub fn of(name: &str, texts: &[&str]) -> Self {
        Self { name: name.into(), texts: texts.iter().map(|text| (*text).to_owned()).collect() }
    }
}

/// Who has nothing else to say than of clocks.
const CLOCKS: [&str; 14] = [
    "chronyd",
    "ntpd",
    "ntpdate",
    "ntpdig",
    "sntp",
    "openntpd",
    "systemd-timesyncd",
    "systemd-timedated",
    "hwclock",
    "rtcwake",
    "phc2sys",
    "ptp4l",
    "ts2phc",
    "systemd-time-wait-sync",
];

/// kubelet, and what holds it.
const KUBELETS: [&str; 6] = ["kubelet", "kubelite", "k3s", "k3s-server", "k3s-agent", "rke2"];

impl Default for Wanted {
    /// Those who keep clocks; and who notices that one was set: systemd, the kernel, kubelet.
    fn default() -> Self {
        let mut of: Vec<Speaker> = CLOCKS.iter().map(|name| Speaker::all(name)).collect();
        of.push(Speaker::of(
            "kernel",
            &["setting system clock", "rtc", "clocksource", "PM: suspend", "hibernation"],
        ));
        of.push(Speaker::of("systemd", &["Time has been changed", "System time", "Clock"]));
        of.push(Speaker::of("systemd-journald", &["Time jumped backwards", "time jump"]));
        of.extend(KUBELETS.iter().map(|name| {
            Speaker::of(name, &["zero or negative interval", "Starting kubelet main sync loop"])
        }));
        of.push(Speaker::of("containerd", &["starting containerd"]));
        Self {
            of,
            of_anybody: [
                "zero or negative interval",
                "Time has been changed",
                "Time jumped backwards",
                "time jump detected",
                "clock was stepped",
                "Clock change detected",
                "clock jump",
                "setting system clock",
            ]
            .map(str::to_owned)
            .into(),
        }
    }
}

/// [`Wanted`], made ready to search with.
pub(super) struct Search {
    speakers: Vec<(Vec<u8>, Vec<Finder<'static>>)>,
    anybody: Vec<Finder<'static>>,
}

impl Search {
    pub(super) fn new(wanted: &Wanted) -> Self {
        let finders = |texts: &[String]| {
            let ready = texts.iter().filter(|text| !text.is_empty());
            ready.map(|text| Finder::new(text.as_bytes()).into_owned()).collect::<Vec<_>>()
        };
        let speaker = |speaker: &Speaker| (speaker.name.clone().into_bytes(), finders(&speaker.texts));
        Self { speakers: wanted.of.iter().map(speaker).collect(), anybody: finders(&wanted.of_anybody) }
    }

    /// How many speakers there are.
    pub(super) fn speakers(&self) -> usize {
        self.speakers.len()
    }

    /// The speaker who calls himself so.
    pub(super) fn by_name(&self, name: &[u8]) -> Option<usize> {
        self.speakers.iter().position(|(speaker, _)| speaker == name)
    }

    /// The speaker whose process is called so.
    pub(super) fn by_comm(&self, comm: &[u8]) -> Option<usize> {
        self.speakers.iter().position(|(speaker, _)| &speaker[..speaker.len().min(COMM)] == comm)
    }

    /// Whether it is wanted that `speaker` says so.
    pub(super) fn wants(&self, speaker: Option<usize>, message: &[u8]) -> bool {
        let says = |texts: &[Finder]| texts.iter().any(|text| text.find(message).is_some());
        let of_speaker = speaker.and_then(|speaker| self.speakers.get(speaker));
        of_speaker.is_some_and(|(_, texts)| texts.is_empty() || says(texts)) || says(&self.anybody)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_listened_to_and_what_is_kept() {
        let search = Search::new(&Wanted {
            of: vec![Speaker::all("systemd-timesyncd"), Speaker::of("kernel", &["rtc", "clock"])],
            of_anybody: vec!["zero or negative interval".into()],
        });
        assert_eq!(search.by_comm(b"systemd-timesyn"), Some(0));
        assert_eq!(search.by_name(b"systemd-timesyn"), None);
        assert_eq!(search.by_name(b"systemd-timesyncd"), Some(0));
        assert_eq!(search.by_comm(b"systemd"), None);
        for (speaker, message, wanted) in [
            (Some(0), "anything", true),
            (Some(0), "", true),
            (Some(1), "rtc_cmos: setting system clock", true),
            (Some(1), "eth0: link is up", false),
            (Some(1), "zero or negative interval (1 - 2)", true),
            (None, "zero or negative interval (1 - 2)", true),
            (None, "rtc", false),
            (Some(9), "rtc", false),
        ] {
            assert_eq!(search.wants(speaker, message.as_bytes()), wanted, "{speaker:?} {message}");
        }
    }
}
