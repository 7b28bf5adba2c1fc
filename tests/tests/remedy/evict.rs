//! Evictions, as an apiserver answers them.

use timejump::{
    cluster::Trouble,
    remedy::{
        PodFacts,
        evict::{EvictError, evict, look},
    },
};
use timejump_tests::apiserver::{Kind, Manner};

use crate::rig::{apiserver, block_on, cluster, pod};

#[test]
fn of_every_answer() {
    let home = tempfile::tempdir().unwrap();
    let apiserver = apiserver(home.path(), 0);
    let cluster = cluster(home.path());
    block_on(async {
        pod(&apiserver, "web");
        let there = || apiserver.objects().get(Kind::Pod, "default", "web").is_some();
        let of = async |uid: &str, rehearse| evict(&cluster, "default", "web", uid, rehearse).await;
        let facts = look(&cluster, "default", "web").await.unwrap().unwrap();
        let want = PodFacts {
            uid: "uid-web".into(),
            controller: Some("ReplicaSet".into()),
            grace_s: 1,
            ..PodFacts::default()
        };
        assert_eq!(facts, want);
        of("uid-web", true).await.unwrap();
        assert!(there(), "a rehearsal");
        let error = of("uid-of-before", false).await.unwrap_err();
        assert!(matches!(error, EvictError::Gone(_)) && there(), "{error}");
        apiserver.objects().keep_pod("default", "web", true);
        for rehearse in [true, false] {
            let error = of("uid-web", rehearse).await.unwrap_err();
            assert!(matches!(&error, EvictError::NotNow { why, .. } if why.contains("budget")), "{error}");
        }
        apiserver.objects().keep_pod("default", "web", false);
        apiserver.objects().forbid("create", "pods/eviction");
        let error = of("uid-web", false).await.unwrap_err();
        assert!(matches!(error, EvictError::Apiserver(Trouble::Forbidden(_))), "{error}");
        apiserver.objects().allow();
        apiserver.behave(Manner::Unauthorized);
        assert_eq!(of("uid-web", false).await, Err(EvictError::Apiserver(Trouble::Unauthorized)));
        apiserver.behave(Manner::Serve);
        of("uid-web", false).await.unwrap();
        assert!(!there());
        assert_eq!(look(&cluster, "default", "web").await, Ok(None));
        let error = of("uid-web", false).await.unwrap_err();
        assert!(matches!(error, EvictError::Gone(_)), "{error}");
    });
}
