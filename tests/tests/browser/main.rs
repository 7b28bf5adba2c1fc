//! The report of an incident in a real browser: jumps and victims are made up, all else is the daemon's own.
//!
//! `TIMEJUMP_CHROMIUM` names the browser, `TIMEJUMP_BIN` the command; without them these tests say so and pass, but fail
//! where `CI` is set.

mod chromium;
mod feed;
mod relay;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use chromium::{document, run};
use feed::{DAY, Feed, HOSTILE};
use relay::Relay;

/// Widths of a phone, a tablet and a screen.
const WIDTHS: [u32; 3] = [360, 800, 1280];

/// Command and browser as `cargo xtask test` provides them, or nothing where it was not that which started us.
fn provided() -> Option<(PathBuf, PathBuf)> {
    let find = |variable: &str| {
        let found = env::var_os(variable).map(PathBuf::from);
        assert!(
            found.is_some() || env::var_os("CI").is_none_or(|value| value.is_empty()),
            "{variable} is not set"
        );
        if found.is_none() {
            println!("skipped: {variable} is not set; `cargo xtask test` sets it");
        }
        found
    };
    find("TIMEJUMP_BIN").zip(find("TIMEJUMP_CHROMIUM"))
}

/// The incident that timejump exists for, with `pods` whose tokens are refused.
fn incident(binary: &Path, pods: usize) -> Feed {
    let mut feed = Feed::start(binary);
    feed.excursion("date");
    for n in 0..pods {
        feed.victim(
            "token_not_yet_valid",
            &format!("web-{n:03}-with-a-name-that-is-as-long-as-they-are"),
            "observed",
        );
        feed.victim("kubelet_cpu_cache_stuck", &format!("web-{n:03}"), "predicted");
    }
    feed.victim("runtime_cpu_baseline_stuck", "idle", "refuted");
    feed.settled(2);
    feed
}

#[test]
fn jumps_and_victims_are_in_the_document() {
    let Some((binary, chromium)) = provided() else { return };
    let feed = incident(&binary, 3);
    let page = feed.written("incident.html");
    let document = document(&chromium, &format!("file://{}", page.display()), &[]);
    for part in [
        "<h1>The clock went 55 days ahead for 2 minutes 31 seconds, then came back.</h1>",
        "3 tokens are refused by the apiserver with 401",
        "3 containers have CPU rates that stand still in kubelet",
        "kubectl delete pod -n default web-002-with-a-name-that-is-as-long-as-they-are",
        "#1 +55d 0h",
        "#2 -55d 0h",
        "date -s date",
        "class=\"span observed\"",
        "class=\"span predicted\"",
        "class=\"span refuted\"",
        "role=\"img\"",
        "<th scope=\"row\"",
    ] {
        assert!(document.contains(part), "{part} is not in\n{document}");
    }
    assert!(!document.contains("<script"), "a page in a file needs none");
}

/// The page is served again after another jump, and the browser shows that without being asked to.
#[test]
fn a_page_that_is_served_stays_up_to_date_and_asks_for_nothing_else() {
    let Some((binary, chromium)) = provided() else { return };
    let mut feed = Feed::start(&binary);
    feed.excursion("date");
    feed.settled(2);
    let http = feed.http.clone();
    let relay = Relay::start(&http, move |request| {
        if request == 2 {
            feed.jump(-7 * DAY, 600_000, "late");
            feed.settled(3);
        }
    });
    // So long by the browser's clock, which runs as fast as it can.
    let document =
        document(&chromium, &format!("http://{}/", relay.address), &["--virtual-time-budget=7000"]);
    assert!(document.contains("The clock went 7 days behind and is still there"), "{document}");
    assert!(document.contains("<a href=\"/metrics\">"), "{document}");
    let (paths, policies) = relay.seen();
    assert!(paths.len() >= 2 && paths.iter().all(|path| path == "/"), "{paths:?}");
    assert!(policies.iter().all(|policy| policy.starts_with("default-src 'none';")), "{policies:?}");
}

#[test]
fn hostile_names_are_but_names() {
    let Some((binary, chromium)) = provided() else { return };
    let mut feed = Feed::start(&binary);
    feed.excursion(HOSTILE);
    feed.victim("token_not_yet_valid", HOSTILE, "predicted");
    feed.victim(HOSTILE, "web", "predicted");
    feed.settled(2);
    let page = feed.written("hostile.html");
    for address in [format!("file://{}", page.display()), format!("http://{}/", feed.http)] {
        let document = document(&chromium, &address, &[]);
        assert!(document.contains("&lt;img src=x onerror="), "{document}");
        assert!(!document.contains("<img") && !document.contains('\u{202e}'), "{document}");
        assert!(document.contains("<title>The clock went 55 days ahead"), "{document}");
        // What is no pod's name does not get into a command.
        assert!(
            !document.contains("kubectl delete pod -n default &lt;")
                && !document.contains("kubectl delete pod -n default '"),
            "{document}"
        );
    }
}

#[test]
fn it_fits_phones_and_screens() {
    let Some((binary, chromium)) = provided() else { return };
    let mut evil = Feed::start(&binary);
    evil.excursion(&HOSTILE.repeat(3));
    evil.victim("token_not_yet_valid", &"x".repeat(253), "predicted");
    evil.settled(2);
    let mut burst = Feed::start(&binary);
    for n in 0..30 {
        burst.jump(if n % 2 == 0 { 500_000_000 } else { -530_000_000 }, 10_000 + 7 * n, "hammer");
    }
    burst.settled(30);
    let feeds = [incident(&binary, 3), incident(&binary, 110), evil, burst, Feed::start(&binary)];
    let pages: Vec<_> = feeds.iter().map(|feed| feed.written("page.html")).collect();
    let frame = |page: &Path, width: u32| {
        format!("<iframe width={width} height=800 src=\"file://{}\"></iframe>", page.display())
    };
    let frames: Vec<_> = pages.iter().flat_map(|page| WIDTHS.map(|width| frame(page, width))).collect();
    let frames = frames.concat();
    let home = tempfile::tempdir().expect("a directory");
    let frame = home.path().join("frames.html");
    // Measures each page in its frame: how wide it would be, and how many of its drawings are shown.
    let script = "addEventListener('load', () => { const lines = [...document.querySelectorAll('iframe')].map(frame => { \
                  const page = frame.contentDocument, root = page.documentElement; \
                  const shown = [...page.querySelectorAll('svg')].filter(it => it.clientWidth > 0).map(it => \
                  it.getAttribute('class')); \
                  return [frame.width, root.scrollWidth, root.clientWidth, shown.join('+') || 'none'].join(' ') }); \
                  document.body.textContent = lines.join(';') })";
    fs::write(&frame, format!("<body>{frames}<script>{script}</script>")).expect("write it");
    let address = format!("file://{}", frame.display());
    let document = document(&chromium, &address, &["--allow-file-access-from-files"]);
    let body = document.split("<body>").nth(1).and_then(|rest| rest.split("</body>").next()).expect("a body");
    let measured: Vec<Vec<&str>> = body.trim().split(';').map(|line| line.split(' ').collect()).collect();
    assert_eq!(measured.len(), pages.len() * WIDTHS.len(), "{document}");
    for (n, line) in measured.iter().enumerate() {
        let [width, would_be, is, shown] = line[..] else { panic!("{line:?}") };
        let number = |text: &str| text.parse::<u32>().expect("a number");
        assert!(number(would_be) <= number(is), "page {n} is wider than {width}: {line:?}");
        let want = if n >= 4 * WIDTHS.len() {
            "none"
        } else if number(width) <= 720 {
            "narrow"
        } else {
            "wide"
        };
        assert_eq!(shown, want, "page {n}: {line:?}");
    }
}

#[test]
fn by_day_by_night_and_on_paper() {
    let Some((binary, chromium)) = provided() else { return };
    let feed = incident(&binary, 3);
    let page = feed.written("incident.html");
    let address = format!("file://{}", page.display());
    let home = tempfile::tempdir().expect("a directory");
    let made = |name: &str, arguments: &[&str]| {
        let path = home.path().join(name);
        let option = if name.ends_with("pdf") { "print-to-pdf" } else { "screenshot" };
        let option = format!("--{option}={}", path.display());
        run(&chromium, &[arguments, &["--window-size=1280,1600", &option, &address]].concat());
        fs::read(&path).expect("what it made")
    };
    let (day, night) =
        (made("day.png", &[]), made("night.png", &["--blink-settings=preferredColorScheme=0"]));
    assert!(day.starts_with(b"\x89PNG") && night.starts_with(b"\x89PNG"));
    assert!(day.len() > 50_000 && night.len() > 50_000, "{} and {}", day.len(), night.len());
    assert_ne!(day, night);
    let paper = made("paper.pdf", &[]);
    assert!(paper.starts_with(b"%PDF") && paper.len() > 20_000, "{}", paper.len());
}

#[test]
fn what_the_command_says() {
    let Some((binary, _)) = provided() else { return };
    let mut feed = Feed::start(&binary);
    let nothing = feed.report(&["-o", "-"]);
    assert!(nothing.status.success() && nothing.stdout.starts_with(b"<!DOCTYPE html>"), "{nothing:?}");
    assert!(String::from_utf8_lossy(&nothing.stdout).contains("No jump so far"));
    feed.excursion("date");
    feed.settled(2);
    for words in [&["1"][..], &["2"], &["--excursion", "1"], &[]] {
        let output = feed.report(&[words, &["-o", "-"]].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("55 days ahead"), "{words:?}: {output:?}");
    }
    for (words, code) in [
        (&["7", "-o", "-"][..], 69),
        (&["--excursion", "7", "-o", "-"], 69),
        (&["1", "--excursion", "1", "-o", "-"], 64),
        (&["1"], 64),
        (&["-o", "/nonexistent/x.html"], 74),
    ] {
        let output = feed.report(words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {output:?}");
    }
}
