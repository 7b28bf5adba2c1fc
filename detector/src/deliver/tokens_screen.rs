//! `timejump tokens` for people.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::{
    Colour, CredentialsReport, JudgeReport, TokenReport, TokenState, TokensReport,
    columns::{seconds, shortened, time_or_day},
    human::{count, printable},
};
use crate::{
    clock::{BootNs, DeltaNs, WallNs, span},
    impact::WORTH_A_RESTART_NS,
    node::JudgeSource,
};

/// Columns for a pod's name and for a volume's; longer ones lose their middle.
const NAMES: [usize; 2] = [30, 16];
/// Columns for how a token stands, and for each time.
const STATE: usize = 22;
const TIME: usize = 10;
/// The file that every service-account volume has.
const USUAL_FILE: &str = "token";
/// Troubles and tokens of unusual audiences shown.
const MOST: usize = 20;
/// Clocks that differ by less agree, ns.
const AGREE_NS: u64 = 1_000_000_000;

/// The screen.
pub fn tokens_screen(report: &TokensReport, colour: Colour) -> String {
    let now = report.now_boottime_ns;
    let mut text = String::new();
    let mut field = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<9} {}", printable(value));
    };
    field("volumes", &volumes(&report.credentials));
    judge_fields(&report.credentials.judges, now, &mut field);
    let last = report.last_jump.map_or_else(String::new, |(sequence, at, delta)| {
        let ago = seconds(now.0.saturating_sub(at.0));
        format!("; last jump #{sequence} {}, {ago} ago", delta.short())
    });
    field("clock", &format!("{}, up {}{last}", report.wall.short(), seconds(now.0)));
    text.push('\n');
    if !report.tokens.is_empty() {
        let names = ["POD", "VOLUME", "STATE", "ISSUED", "WRITTEN", "UNTIL", "REPLACED BY"];
        let head = line(names.map(str::to_owned), |state| state);
        let _ = writeln!(text, "{}", colour.bold(&head));
        for token in &report.tokens {
            let _ = writeln!(text, "{}", row(token, report, colour));
        }
        text.push('\n');
    }
    text += &sums(report);
    text += &remedy(report);
    text += &legend(report);
    text += &unusual(&report.tokens);
    text += &troubles(&report.credentials);
    text
}

/// How many there are, in a line, for `status`.
pub(super) fn tokens_line(credentials: &CredentialsReport) -> String {
    let volumes = volumes(credentials);
    if credentials.tokens == 0 {
        return volumes;
    }
    let tokens = count(credentials.tokens, "token");
    format!("{tokens}, {} refused; {volumes}", credentials.refused)
}

/// Where the volumes are, and whether every change is seen; `status` has it too.
pub(super) fn volumes(credentials: &CredentialsReport) -> String {
    let state = &credentials.volumes_state;
    if credentials.kubelet_root.is_empty() {
        return if state.is_empty() { "not looked at".to_owned() } else { state.clone() };
    }
    format!("{}: {state}", credentials.kubelet_root)
}

/// Whose clocks judge; `status` has them too.
pub(super) fn judge_fields(judges: &[JudgeReport], now: BootNs, field: &mut impl FnMut(&str, &str)) {
    for (n, judge) in judges.iter().enumerate() {
        field(if n == 0 { "apiserver" } else { "" }, &self::judge(judge, now));
    }
}

fn judge(judge: &JudgeReport, now: BootNs) -> String {
    let JudgeReport { name, source, ahead_ns, error_ns, seen_boottime_ns, state, .. } = judge;
    let clock = clock(*ahead_ns, *error_ns);
    let ago = seconds(now.0.saturating_sub(seen_boottime_ns.0));
    match source {
        JudgeSource::DateHeader => format!("{name}, {clock}, as it said {ago} ago: {state}"),
        JudgeSource::FreshToken => format!("{name}: {clock}, as was seen {ago} ago"),
        JudgeSource::OwnApiserver => format!("{name}, which goes by the node's clock"),
        JudgeSource::NodeClock if judge.is_asked() => format!("{name}, its clock is not known: {state}"),
        JudgeSource::NodeClock => format!("{name} stands in for one, as none is known"),
    }
}

/// How an apiserver's clock stands to the node's.
fn clock(ahead: DeltaNs, error_ns: u64) -> String {
    let size = ahead.magnitude();
    if size <= error_ns.max(AGREE_NS) {
        return format!("its clock within {} of the node's", span(size.saturating_add(error_ns)));
    }
    let way = if ahead.0 > 0 { "ahead" } else { "behind" };
    let error = if error_ns >= AGREE_NS { format!(" ± {}", span(error_ns)) } else { String::new() };
    format!("its clock {}{error} {way}", span(size))
}

fn row(token: &TokenReport, report: &TokensReport, colour: Colour) -> String {
    let (state, paint): (&str, fn(Colour, &str) -> String) = match token.state {
        TokenState::Accepted => ("ok", Colour::faint),
        TokenState::Stale => ("stale", Colour::warn),
        TokenState::Overdue => ("overdue", Colour::warn),
        TokenState::ExpiresFirst => ("expires first", Colour::warn),
        TokenState::Expired => ("refused: expired", Colour::alarm),
        TokenState::NotYetValid => ("refused: not yet valid", Colour::alarm),
    };
    let away = |at: WallNs| u64::try_from((at.0 - report.wall.0).unsigned_abs()).unwrap_or(u64::MAX);
    let time = |at: WallNs| time_or_day(at, away(at));
    let now = report.now_boottime_ns;
    let replaced = match (token.refresh_latest, token.refresh_latest_boottime_ns) {
        (_, Some(latest)) if latest < now => "overdue".to_owned(),
        (Some(latest), _) => time(latest),
        (None, _) => "-".to_owned(),
    };
    let columns = [
        printable(&pod(token)),
        printable(&volume(token)),
        state.to_owned(),
        time(token.issued),
        token.written.map_or_else(|| "-".to_owned(), time),
        match token.until {
            Some(until) => time(until),
            None if token.state.is_refused() => "for good".to_owned(),
            None => String::new(),
        },
        replaced,
    ];
    line(columns, |state| paint(colour, &state))
}

fn pod(token: &TokenReport) -> String {
    format!("{}/{}", token.pod.namespace, token.pod.name)
}

/// Whether the cluster's own apiservers are among those who are to accept it, by the name that they go by.
fn is_for_apiservers(token: &TokenReport) -> bool {
    token.audiences.iter().any(|audience| audience.contains("kubernetes.default.svc"))
}

/// With its file, where that is not the usual one.
fn volume(token: &TokenReport) -> String {
    if token.file == USUAL_FILE { token.volume.clone() } else { format!("{}/{}", token.volume, token.file) }
}

fn line(columns: [String; 7], paint: impl Fn(String) -> String) -> String {
    let [pod, volume, state, issued, written, until, replaced] = columns;
    let [(pod, pods), (volume, volumes)] =
        [(pod, NAMES[0]), (volume, NAMES[1])].map(|(name, columns)| (shortened(&name, columns), columns));
    let state = paint(format!("{state:<STATE$}"));
    let line = format!(
        "{pod:<pods$} {volume:<volumes$}  {state}  {issued:<TIME$}  {written:<TIME$}  {until:<TIME$}  {replaced}"
    );
    line.trim_end().to_owned()
}

/// How many stand how.
fn sums(report: &TokensReport) -> String {
    let all = report.credentials.tokens;
    let tokens = count(all, "token");
    let refused: Vec<_> = refused(&report.tokens).collect();
    if all == 0 {
        return "no tokens are seen\n".to_owned();
    }
    if refused.is_empty() && report.credentials.refused == 0 {
        let fine = report.tokens.iter().all(|token| token.state == TokenState::Accepted);
        return match (report.tokens.is_empty(), fine) {
            (true, _) => format!("{tokens}, none of them refused\n"),
            (false, true) => format!("{tokens}, none of them in trouble\n"),
            (false, false) => format!("{tokens}, none of them refused as yet\n"),
        };
    }
    let pods: BTreeSet<_> = refused.iter().map(|token| pod(token)).collect();
    let number = report.credentials.refused;
    let are = if number == 1 { "is" } else { "are" };
    format!("{number} of {tokens} {are} refused ({})\n", count(number_of(pods.len()), "pod"))
}

/// Where the refused ones come from, and what cures.
fn remedy(report: &TokensReport) -> String {
    let refused: Vec<_> = refused(&report.tokens).collect();
    let mut text = String::new();
    if refused.is_empty() {
        return text;
    }
    let mut written: BTreeMap<(Option<u64>, Option<u64>), u64> = BTreeMap::new();
    for token in &refused {
        *written.entry((token.minted_after_jump, token.minted_before_jump)).or_default() += 1;
    }
    for ((after, before), number) in written {
        let when = match (after, before) {
            (Some(after), Some(before)) => format!("between jump #{after} and #{before}"),
            (Some(after), None) => format!("after jump #{after}"),
            (None, Some(before)) => format!("before jump #{before}"),
            (None, None) => "when timejump did not watch".to_owned(),
        };
        let _ = writeln!(text, "  {number} written {when}");
    }
    let judges = report.credentials.judges.iter().filter(|judge| judge.source.is_known()).count();
    let partly = |token: &&&TokenReport| !token.refused_by.is_empty() && token.refused_by.len() < judges;
    let partly: Vec<_> = refused.iter().filter(partly).collect();
    if !partly.is_empty() {
        let by: BTreeSet<_> = partly.iter().flat_map(|token| &token.refused_by).map(String::as_str).collect();
        let by: Vec<_> = by.into_iter().collect();
        let _ = writeln!(text, "  {} refused by {} alone", partly.len(), printable(&by.join(", ")));
    }
    let cure = cure(report.credentials.csi_pods);
    let last = refused.iter().map(|token| token.until.map(|until| (until, token.until_boottime_ns)));
    let last = last.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
    let what = match last {
        Some((until, boot)) => {
            let left = boot.map(|at| at.0.saturating_sub(report.now_boottime_ns.0));
            let wait = left.map_or_else(String::new, |left| format!(", for {}", seconds(left)));
            let wait = format!("wait until {}{wait}", until.short());
            let soon = left.is_some_and(|left| left <= WORTH_A_RESTART_NS);
            if soon { format!("{wait}; or {cure}") } else { format!("{cure}; or {wait}") }
        }
        None => cure,
    };
    let _ = writeln!(text, "  remedy: {what}");
    text
}

/// What makes kubelet get new ones. A restart of it spares the pods, but not those that mount through CSI drivers.
fn cure(csi_pods: u64) -> String {
    match csi_pods {
        0 => "restart kubelet, which then writes new ones within two minutes".to_owned(),
        pods => {
            let mount = if pods == 1 { "mounts" } else { "mount" };
            format!(
                "delete their pods: {} here {mount} through CSI drivers, which a restart of kubelet may disturb",
                count(pods, "pod")
            )
        }
    }
}

/// What the words for tokens mean that are accepted as yet.
fn legend(report: &TokensReport) -> String {
    let words = [
        (TokenState::ExpiresFirst, "expires first: it will be refused before kubelet replaces it"),
        (TokenState::Overdue, "overdue: kubelet should have replaced it by now"),
        (TokenState::Stale, "stale: accepted beyond the life that was asked for, and counted as stale"),
    ];
    let present = words.iter().filter(|(state, _)| report.tokens.iter().any(|token| token.state == *state));
    present.flat_map(|(_, word)| [word, "\n"]).collect()
}

/// Tokens that are for others than most are.
fn unusual(tokens: &[TokenReport]) -> String {
    let mut by: BTreeMap<&[String], usize> = BTreeMap::new();
    for token in tokens {
        *by.entry(&token.audiences).or_default() += 1;
    }
    let Some((usual, _)) = by.iter().max_by_key(|(_, number)| **number) else { return String::new() };
    let unusual = tokens.iter().filter(|token| token.audiences != **usual && !is_for_apiservers(token));
    let unusual: Vec<_> = unusual.collect();
    let words = |token: &&TokenReport| {
        let audiences = token.audiences.join(", ");
        format!("for {audiences}: {} {}", pod(token), volume(token))
    };
    listed(unusual.iter().map(words), unusual.len())
}

fn troubles(credentials: &CredentialsReport) -> String {
    let troubles = &credentials.troubles;
    let words = troubles.iter().map(|trouble| format!("not readable: {}: {}", trouble.of, trouble.trouble));
    listed(words, troubles.len())
}

/// The first few of `number`.
fn listed(lines: impl Iterator<Item = String>, number: usize) -> String {
    let mut text: String = lines.take(MOST).map(|line| printable(&line) + "\n").collect();
    if number > MOST {
        let _ = writeln!(text, "and {} more: -o json has them all", number - MOST);
    }
    text
}

fn refused(tokens: &[TokenReport]) -> impl Iterator<Item = &TokenReport> {
    tokens.iter().filter(|token| token.state.is_refused())
}

fn number_of(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{deliver::TroubleReport, node::Pod};

    const SECOND: i128 = 1_000_000_000;
    const DAY: i128 = 86_400 * SECOND;
    /// 2024-02-06 00:10:00Z
    const NOW: WallNs = WallNs(1_707_178_200 * SECOND);

    fn wall(seconds: i128) -> WallNs {
        WallNs(NOW.0 + seconds * SECOND)
    }

    fn token(name: &str, state: TokenState) -> TokenReport {
        let refused = state.is_refused();
        let days = if state == TokenState::NotYetValid { 55 } else { 0 };
        let issued = WallNs(NOW.0 + days * DAY - 1_200 * SECOND);
        TokenReport {
            pod: Pod { namespace: "kube-system".into(), name: name.into(), uid: "u".into() },
            volume: "kube-api-access-x7k2p".into(),
            file: "token".into(),
            service_account: Some("default".into()),
            audiences: vec!["https://kubernetes.default.svc.cluster.local".into()],
            state,
            refused_by: if refused { vec!["https://10.0.0.1:6443".into()] } else { Vec::new() },
            issued,
            not_before: issued,
            expires: WallNs(issued.0 + 3_607 * SECOND),
            warn_after: None,
            written: Some(issued),
            written_boottime_ns: Some(BootNs(10)),
            minted_after_jump: refused.then_some(1),
            minted_before_jump: refused.then_some(2),
            refresh_earliest: Some(wall(days * 86_400 + 1_600)),
            refresh_latest: Some(wall(days * 86_400 + 1_700)),
            refresh_latest_boottime_ns: Some(BootNs(u64::MAX)),
            refreshes: 0,
            until: refused.then(|| WallNs(issued.0 - 60 * SECOND)),
            until_boottime_ns: refused.then_some(BootNs(55 * 86_400_000_000_000)),
            impact: None,
            jump: refused.then_some(2),
        }
    }

    fn report(tokens: Vec<TokenReport>) -> TokensReport {
        let judge = JudgeReport {
            name: "https://10.0.0.1:6443".into(),
            source: JudgeSource::DateHeader,
            wall: NOW,
            ahead_ns: DeltaNs(200_000_000),
            error_ns: 500_000_000,
            seen_boottime_ns: BootNs(600_000_000_000),
            state: "answers".into(),
        };
        let mut credentials = CredentialsReport {
            kubelet_root: "/var/lib/kubelet".into(),
            volumes_state: "watched".into(),
            watched: true,
            watches: 12,
            judges: vec![judge],
            ..CredentialsReport::default()
        };
        let refused = tokens.iter().filter(|token| token.state.is_refused()).count();
        (credentials.tokens, credentials.refused) = (number_of(tokens.len()), number_of(refused));
        TokensReport {
            now_boottime_ns: BootNs(612_000_000_000),
            wall: NOW,
            last_jump: Some((2, BootNs(432_000_000_000), DeltaNs(-4_752_000_000_000_000))),
            credentials,
            tokens,
        }
    }

    #[test]
    fn who_is_refused_until_when_and_what_cures() {
        let mut vault = token("vault-agent-0", TokenState::Accepted);
        vault.volume = "vault".into();
        vault.file = "vault-token".into();
        vault.audiences = vec!["vault".into()];
        let mut overdue = token("metrics-server-6d94bc8694-7mvwl", TokenState::Overdue);
        overdue.refresh_latest_boottime_ns = Some(BootNs(1));
        let mut expired = token("kube-proxy-7xk2p", TokenState::Expired);
        expired.until = None;
        let mut report = report(vec![
            token("coredns-5dd5756b68-2x9lm", TokenState::NotYetValid),
            token("coredns-5dd5756b68-9fq4c", TokenState::NotYetValid),
            overdue,
            token("kindnet-abcde", TokenState::Accepted),
            vault,
        ]);
        report.credentials.troubles =
            vec![TroubleReport { of: "kube-system/x vol".into(), trouble: "token: not a JWT".into() }];
        let want = "\
volumes   /var/lib/kubelet: watched
apiserver https://10.0.0.1:6443, its clock within 700ms of the node's, as it said 12s ago: answers
clock     2024-02-06 00:10:00Z, up 10m 12s; last jump #2 -55d 0h, 3m 0s ago

POD                            VOLUME            STATE                   ISSUED      WRITTEN     UNTIL       REPLACED BY
kube-system/coredns-5dd…-2x9lm kube-api-…-x7k2p  refused: not yet valid  2024-03-31  2024-03-31  2024-03-31  2024-04-01
kube-system/coredns-5dd…-9fq4c kube-api-…-x7k2p  refused: not yet valid  2024-03-31  2024-03-31  2024-03-31  2024-04-01
kube-system/metrics-ser…-7mvwl kube-api-…-x7k2p  overdue                 23:50:00Z   23:50:00Z               overdue
kube-system/kindnet-abcde      kube-api-…-x7k2p  ok                      23:50:00Z   23:50:00Z               00:38:20Z
kube-system/vault-agent-0      vault/vau…-token  ok                      23:50:00Z   23:50:00Z               00:38:20Z

2 of 5 tokens are refused (2 pods)
  2 written between jump #1 and #2
  remedy: restart kubelet, which then writes new ones within two minutes; or wait until 2024-03-31 23:49:00Z, for 55d 0h
overdue: kubelet should have replaced it by now
for vault: kube-system/vault-agent-0 vault/vault-token
not readable: kube-system/x vol: token: not a JWT
";
        let text = tokens_screen(&report, Colour::None);
        assert_eq!(text, want, "{text}");
        report.now_boottime_ns = BootNs(55 * 86_400_000_000_000 - 300_000_000_000);
        let text = tokens_screen(&report, Colour::None);
        let soon = "  remedy: wait until 2024-03-31 23:49:00Z, for 5m 0s; or restart kubelet, which";
        assert!(text.contains(soon), "what is soon over is waited for: {text}");
        report.credentials.csi_pods = 1;
        report.tokens.push(expired);
        let text = tokens_screen(&report, Colour::None);
        let cure = "  remedy: delete their pods: 1 pod here mounts through CSI drivers, which a restart of kubelet may disturb\n";
        assert!(text.contains(cure), "without an end nobody is told to wait: {text}");
    }

    #[test]
    fn the_longest_row_fits() {
        let mut token = token(&"n".repeat(253), TokenState::NotYetValid);
        token.volume = "v".repeat(63);
        token.file = "f".repeat(63);
        let report = report(vec![token]);
        let text = tokens_screen(&report, Colour::None);
        let table = text.lines().skip_while(|line| !line.starts_with("POD")).take(2);
        assert!(table.map(|line| line.chars().count()).max() <= Some(120), "{text}");
    }

    #[test]
    fn clocks_are_told_apart() {
        for (ahead, error, want) in [
            (4_752_000_000_000_000, 500_000_000, "its clock 55d 0h ahead"),
            (-3_000_000_000, 400_000_000, "its clock 3s behind"),
            (-90_000_000_000, 5_000_000_000, "its clock 1m 30s ± 5s behind"),
            (-300_000_000, 100_000_000, "its clock within 400ms of the node's"),
            (0, 2_000_000_000, "its clock within 2s of the node's"),
        ] {
            assert_eq!(clock(DeltaNs(ahead), error), want);
        }
    }

    #[test]
    fn who_judges_is_said() {
        let asked = report(Vec::new()).credentials.judges.remove(0);
        let other = |name: &str, source, state: &str| JudgeReport {
            name: name.into(),
            source,
            state: state.into(),
            ..asked.clone()
        };
        for (report, want) in [
            (
                asked.clone(),
                "https://10.0.0.1:6443, its clock within 700ms of the node's, as it said 2s ago: answers",
            ),
            (
                other("the apiserver, by its tokens", JudgeSource::FreshToken, "stands in"),
                "the apiserver, by its tokens: its clock within 700ms of the node's, as was seen 2s ago",
            ),
            (
                other("this node's apiserver", JudgeSource::OwnApiserver, "stands in"),
                "this node's apiserver, which goes by the node's clock",
            ),
            (
                other("the node's clock", JudgeSource::NodeClock, "stands in"),
                "the node's clock stands in for one, as none is known",
            ),
            (
                other("https://10.0.0.2:6443", JudgeSource::NodeClock, "connect: timed out"),
                "https://10.0.0.2:6443, its clock is not known: connect: timed out",
            ),
        ] {
            assert_eq!(judge(&report, BootNs(602_000_000_000)), want);
        }
    }

    #[test]
    fn some_apiservers_refuse() {
        let mut report = report(vec![token("a", TokenState::NotYetValid)]);
        let other =
            JudgeReport { name: "https://10.0.0.2:6443".into(), ..report.credentials.judges[0].clone() };
        report.credentials.judges.push(other);
        let text = tokens_screen(&report, Colour::None);
        assert!(text.contains("1 of 1 token is refused (1 pod)\n"), "{text}");
        assert!(text.contains("  1 refused by https://10.0.0.1:6443 alone\n"), "{text}");
    }

    #[test]
    fn nothing_to_tell() {
        let text = tokens_screen(&report(vec![token("a", TokenState::Accepted)]), Colour::None);
        assert!(text.ends_with("\n1 token, none of them in trouble\n"), "{text}");
        let mut filtered = report(vec![token("a", TokenState::Accepted)]);
        filtered.tokens.clear();
        let text = tokens_screen(&filtered, Colour::None);
        assert!(text.ends_with("\n\n1 token, none of them refused\n"), "{text}");
        let mut nowhere = report(Vec::new());
        nowhere.credentials.kubelet_root.clear();
        nowhere.credentials.volumes_state = "no kubelet root directory is seen".into();
        let text = tokens_screen(&nowhere, Colour::None);
        assert!(text.starts_with("volumes   no kubelet root directory is seen\n"), "{text}");
        assert!(text.ends_with("\n\nno tokens are seen\n"), "{text}");
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        let mut token = token("a\u{1b}[2J", TokenState::NotYetValid);
        token.audiences = vec!["\u{202e}".into()];
        token.refused_by = vec!["\u{7}".into()];
        let mut report = report(vec![token]);
        report.credentials.troubles = vec![TroubleReport { of: "\u{1b}".into(), trouble: "\r".into() }];
        report.credentials.volumes_state = "\u{1b}".into();
        let text = tokens_screen(&report, Colour::None);
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}', '\r']), "{text}");
    }
}
