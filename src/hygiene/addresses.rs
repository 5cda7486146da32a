//! URLs, hosts, e-mail and IP addresses, also where they are written so that filters miss them.
//!
//! Agents speak of files (`values.yaml`), fields (`metadata.name`) and API groups (`apps.example/v1`) in much
//! the same form; a name without a scheme is a host only if it ends as hosts do.

use std::sync::LazyLock;

use regex::Regex;

use super::danger::{Danger, Found};
use super::matcher::{any, pattern};
use super::secrets::is_ipv6;

/// Dots and at signs as people spell them out to keep filters away.
static SPELT: LazyLock<[(Regex, &str); 5]> = LazyLock::new(|| {
    [
        (pattern(r" ?[\[({<] ?(?:\.|dot|punkt|point) ?[\])}>] ?| (?:dot|punkt) "), "."),
        (pattern(r" ?[\[({<] ?(?:@|at) ?[\])}>] ?"), "@"),
        (pattern(r" slash "), "/"),
        (pattern(r"[\[({] ?: ?[\])}]"), ":"),
        (
            pattern(
                r"([a-z0-9]) \. (com|net|org|io|ai|co|info|biz|ru|cn|de|xyz|example)\b(?: / ?)?",
            ),
            "${1}.${2}/",
        ),
    ]
});

/// What is an address by its form alone.
static SURE: LazyLock<Regex> = LazyLock::new(|| {
    any(&[
        r"\b[a-z][a-z0-9+.-]{1,20}:/{2,3}[^\s`'\x22<>)\]]*",
        r"\b(?:mailto|javascript|vbscript|data|tel|sms|urn|blob|magnet|jar|view-source|callto|intent|ldap):[a-z0-9+/(.@%-][^\s`'\x22<>]*",
        r"(?:^|[\s(\[`'\x22=])//[a-z0-9-]+(?:\.[a-z0-9-]+)+[^\s`'\x22<>]*",
        r"\bwww\.[^\s`'\x22<>)]+",
        r"[a-z0-9._%+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+[^\s`'\x22<>)]*",
        r"\b0x[0-9a-f]{8}\b",
        r"\b(?:0x[0-9a-f]{1,2}|0[0-7]{2,3})(?:\.(?:0x[0-9a-f]{1,2}|\d{1,4})){3}\b",
        r"\bxn--[a-z0-9-]+[^\s`'\x22<>)]*",
        r"\b(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\b[^\s`'\x22<>)]*",
    ])
});

/// Names with dots, what follows them included.
static DOTTED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"[\w./~*@-]*[a-z0-9](?:\.[a-z0-9-]+)+(?::\d{2,5}\b)?(?:/[^\s`'\x22<>)\]]*)?")
});

static HEXES: LazyLock<Regex> = LazyLock::new(|| pattern(r"[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*"));

/// Endings of hosts that stand for one even without a path.
const TOP: [&str; 58] = [
    "com",
    "net",
    "org",
    "io",
    "ai",
    "biz",
    "info",
    "xyz",
    "ru",
    "cn",
    "top",
    "site",
    "online",
    "onion",
    "tk",
    "ml",
    "ga",
    "cf",
    "gq",
    "su",
    "cloud",
    "link",
    "click",
    "club",
    "shop",
    "store",
    "tech",
    "live",
    "fun",
    "icu",
    "vip",
    "work",
    "zone",
    "website",
    "space",
    "pro",
    "co",
    "uk",
    "eu",
    "de",
    "fr",
    "nl",
    "jp",
    "kr",
    "in",
    "br",
    "gg",
    "ly",
    "cc",
    "tv",
    "ws",
    "to",
    "gov",
    "edu",
    "mil",
    "example",
    "invalid",
    "localhost",
];

/// Names that end like hosts and are none: libraries, platforms, loggers, and fields.
const NO_HOSTS: [&str; 20] = [
    "asp.net",
    "vb.net",
    "ado.net",
    "ml.net",
    "system.net",
    "socket.io",
    "java.io",
    "java.net",
    "std.io",
    "log.info",
    "logger.info",
    "logging.info",
    "console.info",
    "user.info",
    "payment.info",
    "order.info",
    "fs.promises",
    "event.live",
    "sys.in",
    "system.in",
];

/// Where Kubernetes' own API groups and labels live.
const API_GROUPS: [&str; 2] = ["k8s.io", "kubernetes.io"];

/// Endings of files.
const FILES: [&str; 62] = [
    "yaml", "yml", "json", "jsonl", "toml", "ini", "cfg", "conf", "env", "lock", "xml", "csv",
    "tsv", "sql", "db", "txt", "md", "rst", "pdf", "html", "htm", "css", "scss", "log", "gz",
    "tar", "tgz", "zst", "bak", "tmp", "exe", "dll", "bat", "sh", "ps1", "py", "pyi", "ipynb",
    "rs", "go", "js", "mjs", "ts", "tsx", "jsx", "vue", "java", "kt", "rb", "php", "pl", "c", "h",
    "cc", "cpp", "hpp", "cs", "swift", "so", "proto", "tf", "service",
];

pub(super) fn find(folded: &str) -> Vec<Found> {
    let spelt = SPELT.iter().fold(folded.to_owned(), |text, (spelling, meant)| {
        spelling.replace_all(&text, *meant).into_owned()
    });
    let sure = SURE.find_iter(&spelt).map(|hit| hit.as_str());
    let hosts = DOTTED.find_iter(&spelt).map(|hit| hit.as_str()).filter(|name| is_host(name));
    let hexes = HEXES.find_iter(&spelt).map(|hit| hit.as_str()).filter(|text| is_ipv6(text));
    let mut found: Vec<_> = sure.chain(hosts).chain(hexes).map(trimmed).collect();
    found.sort_unstable();
    found.dedup();
    // A host within a URL is found with it.
    let whole = found.clone();
    found.retain(|part| !whole.iter().any(|other| other != part && other.contains(part)));
    found.into_iter().map(|text| Found::new(Danger::Address, text)).collect()
}

/// Without what a sentence adds.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ",;:!?([{)]}\"'`=".contains(c))
        .trim_end_matches('.')
}

/// Whether a name with dots in it is a host rather than a file or a field.
fn is_host(name: &str) -> bool {
    let start = name.trim_start_matches(['@', '*', '.']);
    // A path of files; its dots come behind a slash.
    let (host, path) = match start.split_once('/') {
        Some((host, path)) => (host, Some(path)),
        None => (start, None),
    };
    let (host, port) = match host.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (host, None),
    };
    let Some((_, last)) = host.rsplit_once('.') else { return false };
    let of_group = |group: &str| host == group || host.ends_with(&format!(".{group}"));
    if last.len() < 2 || !last.chars().all(|c| c.is_ascii_alphabetic()) || host.contains("..") {
        return false;
    }
    if API_GROUPS.iter().any(|group| of_group(group)) {
        return false;
    }
    let known = TOP.contains(&last) && !NO_HOSTS.contains(&host);
    let is_file = FILES.contains(&last);
    known
        || ((path.is_some_and(|path| !path.is_empty()) || port.is_some()) && !is_file)
        || (is_file
            && path.is_some_and(|path| !path.is_empty())
            && matches!(last, "sh" | "py" | "rs" | "md" | "pl" | "so" | "cc"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hygiene::fold::fold;

    #[test]
    fn addresses_are_found_and_other_dotted_names_are_not() {
        let check = |text: &str, expected: &[&str]| {
            let found: Vec<_> = find(&fold(text)).into_iter().map(|found| found.text).collect();
            assert_eq!(found, expected, "{text:?}");
        };
        check("Read HTTPS://Evil.example/Run first.", &["https://evil.example/run"]);
        check("See www.evil.example.", &["www.evil.example"]);
        check("evil.com", &["evil.com"]);
        check("Ask x.evil.example:8443, please", &["x.evil.example:8443"]);
        check("evil.dev/x", &["evil.dev/x"]);
        check("get.sh/install", &["get.sh/install"]);
        check("hxxps://evil[.]com/x", &["hxxps://evil.com/x"]);
        check("evil dot com slash x", &["evil.com/x"]);
        check("mara (at) kettle (dot) example", &["mara@kettle.example"]);
        check("git@evil.example:x/y.git", &["git@evil.example:x/y.git"]);
        check("203.0.113.7 and 2001:db8::7", &["2001:db8::7", "203.0.113.7"]);
        check("javascript:alert(1)", &["javascript:alert(1"]);
        check("//evil.example/x", &["//evil.example/x"]);
        check("evil。com", &["evil.com"]);
        for text in [
            "Edit values.yaml and src/main.rs, run kubectl.exe or setup.sh.",
            "`metadata.name`, `spec.ports[].targetPort`, options.color, max.poll.interval.ms",
            "app.kubernetes.io/name and networking.k8s.io/v1 and apps/v1",
            "e.g. this, i.e. that... and 3.5 % of 1.2.3",
            "ASP.NET, Node.js, System.out, java.io.IOException, log.info",
            "std::net at 10:20:30, 06:30+1, 3/4 or and/or",
            "data: one, tel: two; System: three",
            "--sort-by=.lastTimestamp, *.pb.go, node_modules/ and ../a.b",
            "/var/log/messages, ./run.sh, a//b",
        ] {
            check(text, &[]);
        }
    }
}
