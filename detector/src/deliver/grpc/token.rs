//! How the tokens stand, to and from the protocol.

use super::{
    convert::{Foreign, from_word, known, wall_ns},
    node::{from_last_jump, from_open_impacts, from_pod, last_jump, open_impacts, pod},
    v1,
};
use crate::{
    clock::{BootNs, DeltaNs, WallNs},
    deliver::{CredentialsReport, JudgeReport, TokenReport, TokensReport, TroubleReport, json::word},
};

impl From<&CredentialsReport> for v1::Credentials {
    fn from(report: &CredentialsReport) -> Self {
        let states =
            report.states.iter().map(|(state, count)| v1::TokenCount { state: word(*state), count: *count });
        let troubles = report
            .troubles
            .iter()
            .map(|TroubleReport { of, trouble }| v1::Trouble { of: of.clone(), trouble: trouble.clone() });
        Self {
            kubelet_root: report.kubelet_root.clone(),
            volumes_state: report.volumes_state.clone(),
            watched: report.watched,
            watches: report.watches,
            tokens: report.tokens,
            refused: report.refused,
            states: states.collect(),
            refreshes: report.refreshes,
            csi_pods: report.csi_pods,
            certificates: report.certificates,
            troubles: troubles.collect(),
            judges: report.judges.iter().map(Into::into).collect(),
            open: open_impacts(&report.open),
        }
    }
}

impl TryFrom<v1::Credentials> for CredentialsReport {
    type Error = Foreign;

    fn try_from(report: v1::Credentials) -> Result<Self, Foreign> {
        // What is left out here is known of each token.
        let states =
            report.states.iter().filter_map(|of| Some((from_word(&of.state, "state").ok()?, of.count)));
        let troubles =
            report.troubles.into_iter().map(|v1::Trouble { of, trouble }| TroubleReport { of, trouble });
        Ok(Self {
            kubelet_root: report.kubelet_root,
            volumes_state: report.volumes_state,
            watched: report.watched,
            watches: report.watches,
            tokens: report.tokens,
            refused: report.refused,
            states: states.collect(),
            refreshes: report.refreshes,
            csi_pods: report.csi_pods,
            certificates: report.certificates,
            troubles: troubles.collect(),
            judges: report.judges.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            open: from_open_impacts(report.open)?,
        })
    }
}

impl From<&JudgeReport> for v1::Judge {
    fn from(judge: &JudgeReport) -> Self {
        Self {
            name: judge.name.clone(),
            source: word(judge.source),
            wall_ns: wall_ns(judge.wall),
            ahead_ns: judge.ahead_ns.0,
            error_ns: judge.error_ns,
            seen_boottime_ns: judge.seen_boottime_ns.0,
            state: judge.state.clone(),
        }
    }
}

impl TryFrom<v1::Judge> for JudgeReport {
    type Error = Foreign;

    fn try_from(judge: v1::Judge) -> Result<Self, Foreign> {
        Ok(Self {
            name: judge.name,
            source: from_word(&judge.source, "source of an apiserver's clock")?,
            wall: WallNs(judge.wall_ns.into()),
            ahead_ns: DeltaNs(judge.ahead_ns),
            error_ns: judge.error_ns,
            seen_boottime_ns: BootNs(judge.seen_boottime_ns),
            state: judge.state,
        })
    }
}

impl From<&TokensReport> for v1::ListTokensResponse {
    fn from(report: &TokensReport) -> Self {
        Self {
            now_boottime_ns: report.now_boottime_ns.0,
            now_wall_ns: wall_ns(report.wall),
            last_jump: report.last_jump.map(last_jump),
            credentials: Some((&report.credentials).into()),
            tokens: report.tokens.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::ListTokensResponse> for TokensReport {
    type Error = Foreign;

    fn try_from(response: v1::ListTokensResponse) -> Result<Self, Foreign> {
        Ok(Self {
            now_boottime_ns: BootNs(response.now_boottime_ns),
            wall: WallNs(response.now_wall_ns.into()),
            last_jump: response.last_jump.map(from_last_jump),
            credentials: known(response.credentials, "credentials")?.try_into()?,
            tokens: response.tokens.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&TokenReport> for v1::Token {
    fn from(token: &TokenReport) -> Self {
        Self {
            pod: Some(pod(&token.pod)),
            volume: token.volume.clone(),
            file: token.file.clone(),
            service_account: token.service_account.clone(),
            audiences: token.audiences.clone(),
            state: word(token.state),
            refused_by: token.refused_by.clone(),
            issued_wall_ns: wall_ns(token.issued),
            not_before_wall_ns: wall_ns(token.not_before),
            expires_wall_ns: wall_ns(token.expires),
            warn_after_wall_ns: token.warn_after.map(wall_ns),
            written_wall_ns: token.written.map(wall_ns),
            written_boottime_ns: token.written_boottime_ns.map(|at| at.0),
            minted_after_jump: token.minted_after_jump,
            minted_before_jump: token.minted_before_jump,
            refresh_earliest_wall_ns: token.refresh_earliest.map(wall_ns),
            refresh_latest_wall_ns: token.refresh_latest.map(wall_ns),
            refresh_latest_boottime_ns: token.refresh_latest_boottime_ns.map(|at| at.0),
            refreshes: token.refreshes,
            until_wall_ns: token.until.map(wall_ns),
            until_boottime_ns: token.until_boottime_ns.map(|at| at.0),
            impact: token.impact,
            jump: token.jump,
        }
    }
}

impl TryFrom<v1::Token> for TokenReport {
    type Error = Foreign;

    fn try_from(token: v1::Token) -> Result<Self, Foreign> {
        let wall = |ns: i64| WallNs(ns.into());
        Ok(Self {
            pod: from_pod(token.pod.unwrap_or_default()),
            volume: token.volume,
            file: token.file,
            service_account: token.service_account,
            audiences: token.audiences,
            state: from_word(&token.state, "token state")?,
            refused_by: token.refused_by,
            issued: wall(token.issued_wall_ns),
            not_before: wall(token.not_before_wall_ns),
            expires: wall(token.expires_wall_ns),
            warn_after: token.warn_after_wall_ns.map(wall),
            written: token.written_wall_ns.map(wall),
            written_boottime_ns: token.written_boottime_ns.map(BootNs),
            minted_after_jump: token.minted_after_jump,
            minted_before_jump: token.minted_before_jump,
            refresh_earliest: token.refresh_earliest_wall_ns.map(wall),
            refresh_latest: token.refresh_latest_wall_ns.map(wall),
            refresh_latest_boottime_ns: token.refresh_latest_boottime_ns.map(BootNs),
            refreshes: token.refreshes,
            until: token.until_wall_ns.map(wall),
            until_boottime_ns: token.until_boottime_ns.map(BootNs),
            impact: token.impact,
            jump: token.jump,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        deliver::TokenState,
        impact::Confidence,
        node::{JudgeSource, Pod},
    };

    fn token() -> TokenReport {
        TokenReport {
            pod: Pod { namespace: "n".into(), name: "p".into(), uid: "u".into() },
            volume: "v".into(),
            file: "token".into(),
            service_account: Some("default".into()),
            audiences: vec!["a".into(), "b".into()],
            state: TokenState::NotYetValid,
            refused_by: vec!["https://10.0.0.1:6443".into()],
            issued: WallNs(1),
            not_before: WallNs(2),
            expires: WallNs(3),
            warn_after: Some(WallNs(4)),
            written: Some(WallNs(5)),
            written_boottime_ns: Some(BootNs(6)),
            minted_after_jump: Some(7),
            minted_before_jump: Some(8),
            refresh_earliest: Some(WallNs(9)),
            refresh_latest: Some(WallNs(10)),
            refresh_latest_boottime_ns: Some(BootNs(11)),
            refreshes: 12,
            until: Some(WallNs(-13)),
            until_boottime_ns: Some(BootNs(14)),
            impact: Some(15),
            jump: Some(16),
        }
    }

    #[test]
    fn it_survives_the_way() {
        let judge = |source| JudgeReport {
            name: "https://10.0.0.1:6443".into(),
            source,
            wall: WallNs(20),
            ahead_ns: DeltaNs(-21),
            error_ns: 22,
            seen_boottime_ns: BootNs(23),
            state: "answers".into(),
        };
        let sources = [
            JudgeSource::DateHeader,
            JudgeSource::FreshToken,
            JudgeSource::OwnApiserver,
            JudgeSource::NodeClock,
        ];
        let credentials = CredentialsReport {
            kubelet_root: "/var/lib/kubelet".into(),
            volumes_state: "watched".into(),
            watched: true,
            watches: 1,
            tokens: 2,
            refused: 3,
            states: TokenState::ALL.map(|state| (state, 4)).to_vec(),
            refreshes: 5,
            csi_pods: 6,
            certificates: 7,
            troubles: vec![TroubleReport { of: "o".into(), trouble: "t".into() }],
            judges: sources.map(judge).to_vec(),
            open: vec![("token_not_yet_valid".into(), Confidence::Predicted, 8)],
        };
        let bare = TokenReport {
            service_account: None,
            audiences: Vec::new(),
            state: TokenState::Accepted,
            refused_by: Vec::new(),
            warn_after: None,
            written: None,
            written_boottime_ns: None,
            minted_after_jump: None,
            minted_before_jump: None,
            refresh_earliest: None,
            refresh_latest: None,
            refresh_latest_boottime_ns: None,
            until: None,
            until_boottime_ns: None,
            impact: None,
            jump: None,
            ..token()
        };
        let report = TokensReport {
            now_boottime_ns: BootNs(1),
            wall: WallNs(2),
            last_jump: Some((3, BootNs(4), DeltaNs(-5))),
            credentials,
            tokens: vec![token(), bare],
        };
        let back = TokensReport::try_from(v1::ListTokensResponse::from(&report));
        assert_eq!(back, Ok(report));
    }

    #[test]
    fn a_state_of_a_later_version_is_refused() {
        let token = v1::Token { state: "revoked".into(), ..v1::Token::from(&token()) };
        assert_eq!(TokenReport::try_from(token), Err(Foreign("token state")));
        assert_eq!(TokensReport::try_from(v1::ListTokensResponse::default()), Err(Foreign("credentials")));
    }
}
