//! Certificates whose dates a jump put the clock outside of.
//!
//! Whoever is shown a certificate judges it by its own clock: kubelet's client certificate is judged by the apiserver,
//! the others by their clients, most of which are on this node. Go's crypto/x509 says "certificate has expired or is
//! not yet valid". kubelet itself shows no client certificate that has expired by its own clock (client-go
//! util/certificate/certificate_manager.go, `Current`); one that it got while the clock was ahead it goes on showing
//! after the clock went back, for it asks for the next one only when most of the lifetime of this one is over
//! (`nextRotationDeadline`; kubernetes/kubernetes#97680).

use serde_json::json;

use crate::{
    clock::BootNs,
    impact::{Case, Finding, Kind, Remedy, Rule, Subject, WORTH_A_RESTART_NS},
    ledger::Timeline,
    node::{Certificate, CertificateRole, JudgeSource},
};

const KUBERNETES_RULE: &str = "client-go util/certificate/certificate_manager.go";
const GO_RULE: &str = "Go crypto/x509: Certificate.Verify";

pub(super) struct Certificates;

/// Who finds a certificate's dates wrong.
struct Clock<'a> {
    /// In words.
    whose: String,
    /// As the judge is called; nothing: this node's.
    judge: Option<&'a str>,
    timeline: &'a Timeline,
}

impl Rule for Certificates {
    fn kinds(&self) -> &'static [Kind] {
        &[Kind::CertificateNotYetValid, Kind::CertificateExpired]
    }

    fn assess(&self, case: &Case<'_>, found: &mut Vec<Finding>) {
        for certificate in &case.node.certificates {
            let clocks = clocks(case, certificate);
            found.extend(not_yet_valid(case.now, certificate, &clocks));
            found.extend(expired(case.now, certificate, &clocks));
        }
    }
}

/// Those that a certificate is judged by, this node's first.
fn clocks<'a>(case: &Case<'a>, certificate: &Certificate) -> Vec<Clock<'a>> {
    let own = Clock { whose: "this node's clock".to_owned(), judge: None, timeline: case.timeline };
    let judged = certificate.role == CertificateRole::KubeletClient;
    // The node's clock that stands for another is the one above.
    let others = case.node.judges.iter().filter(|judge| judged && judge.source != JudgeSource::NodeClock);
    let others = others.map(|judge| Clock {
        whose: format!("the clock of {}", judge.name),
        judge: Some(&judge.name),
        timeline: &judge.timeline,
    });
    [own].into_iter().chain(others).collect()
}

fn not_yet_valid(now: BootNs, certificate: &Certificate, clocks: &[Clock<'_>]) -> Option<Finding> {
    let fell = |clock: &Clock<'_>| clock.timeline.fell_below(certificate.not_before, BootNs(0), now);
    let by: Vec<_> = clocks.iter().filter_map(|clock| Some((clock, fell(clock)?))).collect();
    let until = by.iter().filter_map(|(clock, _)| clock.timeline.boot_at(certificate.not_before)).max();
    let mut finding = finding(Kind::CertificateNotYetValid, certificate, &by)?;
    finding.until = until;
    finding.remedy = Remedy::Wait;
    let (clock, _) = by.first()?;
    let short = certificate.not_before.0 - clock.timeline.wall(now).0;
    let long = short > i128::from(WORTH_A_RESTART_NS);
    if long && certificate.role != CertificateRole::ControlPlane {
        finding.message.push_str(
            "; a restart of kubelet does not cure that: it shows this one until it is deleted and made anew",
        );
    }
    Some(finding)
}

fn expired(now: BootNs, certificate: &Certificate, clocks: &[Clock<'_>]) -> Option<Finding> {
    let rose = |clock: &Clock<'_>| clock.timeline.rose_above(certificate.not_after, BootNs(0), now);
    let by: Vec<_> = clocks.iter().filter_map(|clock| Some((clock, rose(clock)?))).collect();
    let mut finding = finding(Kind::CertificateExpired, certificate, &by)?;
    if certificate.role == CertificateRole::KubeletClient && by.iter().any(|(clock, _)| clock.judge.is_none())
    {
        finding.message.push_str("; by this clock kubelet shows the apiserver none at all");
    }
    Some(finding)
}

/// One for all clocks that find so, told by the first.
fn finding(kind: Kind, certificate: &Certificate, by: &[(&Clock<'_>, (u64, BootNs))]) -> Option<Finding> {
    let (clock, (jump, from)) = *by.first()?;
    let what = match certificate.role {
        CertificateRole::KubeletClient => "kubelet's client certificate",
        CertificateRole::KubeletServing => "kubelet's serving certificate",
        CertificateRole::ControlPlane => "the certificate",
    };
    let wrong = match kind {
        Kind::CertificateExpired => "has expired",
        _ => "is not valid yet",
    };
    let judges: Vec<_> = by.iter().map(|(clock, _)| clock.judge.unwrap_or("node")).collect();
    let rule = match certificate.role {
        CertificateRole::KubeletClient => KUBERNETES_RULE,
        CertificateRole::KubeletServing | CertificateRole::ControlPlane => GO_RULE,
    };
    Some(Finding {
        kind,
        jump,
        subject: Subject::certificate(&certificate.path),
        key: certificate.path.display().to_string().into(),
        from,
        until: None,
        remedy: Remedy::None,
        message: format!(
            "{what}, valid from {} to {}, {wrong} by {}: new TLS connections with it fail",
            certificate.not_before.short(),
            certificate.not_after.short(),
            clock.whose,
        ),
        evidence: json!({
            "role": certificate.role,
            "common_name": certificate.subject,
            "not_before": certificate.not_before,
            "not_after": certificate.not_after,
            "judged_by": judges,
            "rule": rule,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        impact::timeline_tests::{boot, timeline, wall},
        node::{Judge, NodeFacts},
    };

    const PATH: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";

    fn certificate(role: CertificateRole, from: i64, to: i64) -> Certificate {
        Certificate {
            path: PATH.into(),
            role,
            subject: "system:node:n".into(),
            not_before: wall(from),
            not_after: wall(to),
        }
    }

    fn judge(source: JudgeSource, jumps: &[(i64, i64)]) -> Judge {
        Judge {
            name: "https://10.96.0.1:443".into(),
            source,
            timeline: timeline(1000, jumps),
            error_ns: 500_000_000,
            seen: boot(0),
        }
    }

    fn found(certificate: Certificate, jumps: &[(i64, i64)], judges: Vec<Judge>, now: i64) -> Vec<Finding> {
        let node = NodeFacts { certificates: vec![certificate], judges, ..NodeFacts::default() };
        let timeline = timeline(1000, jumps);
        let case = Case { timeline: &timeline, node: &node, now: boot(now), assessed: boot(now) };
        let mut found = Vec::new();
        Certificates.assess(&case, &mut found);
        found
    }

    #[test]
    fn only_what_a_jump_brought_about() {
        use Kind::{CertificateExpired, CertificateNotYetValid};
        for (dates, jumps, now, want) in [
            // Right; never right, without a jump; wrong by time alone.
            ((900, 9000), &[][..], 150, None),
            ((5000, 9000), &[], 150, None),
            ((900, 1100), &[], 150, None),
            // The clock went back to before its first day, and will be there again.
            ((900, 9000), &[(100, -600)], 150, Some((CertificateNotYetValid, 1, 100, Some(500)))),
            ((900, 9000), &[(100, -600)], 500, None),
            ((900, 9000), &[(100, -600), (120, 600)], 150, None),
            // Made while the clock was ahead.
            (
                (4000, 9000),
                &[(100, 3600), (160, -3600)],
                170,
                Some((CertificateNotYetValid, 2, 160, Some(3000))),
            ),
            // The clock went beyond its last day.
            ((900, 3000), &[(100, 3600)], 150, Some((CertificateExpired, 1, 100, None))),
            ((900, 3000), &[(100, 3600), (120, -3600)], 150, None),
        ] {
            let certificate = certificate(CertificateRole::ControlPlane, dates.0, dates.1);
            let found = found(certificate, jumps, Vec::new(), now);
            let found: Vec<_> =
                found.iter().map(|it| (it.kind, it.jump, it.from, it.until, it.remedy, &*it.key)).collect();
            let want: Vec<_> = want
                .into_iter()
                .map(|(kind, jump, from, until)| {
                    let remedy = if until.is_some() { Remedy::Wait } else { Remedy::None };
                    (kind, jump, boot(from), until.map(boot), remedy, PATH)
                })
                .collect();
            assert_eq!(found, want, "{dates:?} {jumps:?} {now}");
        }
    }

    #[test]
    fn the_message_has_both_dates_and_says_what_does_not_help() {
        let of = |role, back: i64| {
            found(certificate(role, 1000, 9000), &[(100, -back)], Vec::new(), 100).remove(0).message
        };
        assert_eq!(
            of(CertificateRole::ControlPlane, 3600),
            "the certificate, valid from 1970-01-01 00:16:40Z to 1970-01-01 02:30:00Z, is not valid yet by this node's \
             clock: new TLS connections with it fail"
        );
        let cure = "a restart of kubelet does not cure that";
        for role in [CertificateRole::KubeletClient, CertificateRole::KubeletServing] {
            assert!(of(role, 3600).contains(cure));
            assert!(!of(role, 600).contains(cure), "not long");
        }
        let expired =
            found(certificate(CertificateRole::KubeletClient, 900, 3000), &[(100, 3600)], Vec::new(), 100);
        assert!(expired[0].message.ends_with("; by this clock kubelet shows the apiserver none at all"));
        assert_eq!(expired[0].subject.name.as_deref(), Some(PATH));
    }

    #[test]
    fn kubelets_client_certificate_is_judged_by_the_apiserver() {
        let client = || certificate(CertificateRole::KubeletClient, 900, 9000);
        let back = &[(100, -600)];
        // The apiserver's clock alone.
        let only_theirs = found(client(), &[], vec![judge(JudgeSource::DateHeader, back)], 150);
        assert_eq!((only_theirs.len(), only_theirs[0].until), (1, Some(boot(500))));
        assert_eq!(only_theirs[0].evidence["judged_by"], json!(["https://10.96.0.1:443"]));
        assert!(only_theirs[0].message.contains("not valid yet by the clock of https://10.96.0.1:443"));
        // Both: one finding, which lasts for as long as either finds so.
        let longer = judge(JudgeSource::OwnApiserver, &[(100, -700)]);
        let both = found(client(), back, vec![longer], 150);
        assert_eq!((both.len(), both[0].until), (1, Some(boot(600))));
        assert_eq!(both[0].evidence["judged_by"], json!(["node", "https://10.96.0.1:443"]));
        // The node's own clock is not counted twice, and nobody else's certificates are judged so.
        let own = found(client(), back, vec![judge(JudgeSource::NodeClock, back)], 150);
        assert_eq!(own[0].evidence["judged_by"], json!(["node"]));
        let serving = certificate(CertificateRole::KubeletServing, 900, 9000);
        assert!(found(serving, &[], vec![judge(JudgeSource::DateHeader, back)], 150).is_empty());
    }
}
