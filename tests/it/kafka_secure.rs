//! Kafka with TLS and login: every way in works, whoever is kept out is told why, and no secret shows.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use whetstone::config::{Config, Log as LogConfig};
use whetstone::consume::{KafkaLog, KafkaSettings, Log, LogError, Polled, Share, Start, Topic};

use crate::broker::{OnKafka, Secure, broker, secure};
use crate::log_conformance::{GENEROUS, NOW, SHORT, join, new, poll, read, table, values};
use crate::server::whetstone;

/// The longest wait for the reason why there is no connection.
const SOON: Duration = Duration::from_secs(30);

/// The broker's secure side, and topics and a directory of a test's own.
struct Place {
    secure: &'static Secure,
    on_kafka: OnKafka,
}

impl Place {
    fn new(wanted_by: &str) -> Option<Self> {
        let secure = secure(wanted_by)?;
        Some(Self { secure, on_kafka: OnKafka::new(1, wanted_by)? })
    }

    /// Writes a file and gives its path.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.on_kafka.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn ca(&self) -> String {
        format!("ca_file: {:?}", self.secure.ca.display().to_string())
    }

    /// The lines of `kafka.security` that log `user` in.
    fn login(&self, mechanism: &str, user: &str, password: &str) -> String {
        let file = self.file(&format!("password-{mechanism}-{user}-{}", password.len()), password);
        format!(
            "protocol: sasl_ssl, {}, mechanism: {mechanism}, username: {user}, password_file: {file:?}",
            self.ca()
        )
    }

    fn token(&self, token: &str) -> String {
        let file = self.file(&format!("token-{:x}", fastrand::u64(..)), token);
        format!("protocol: sasl_ssl, {}, mechanism: OAUTHBEARER, token_file: {file:?}", self.ca())
    }

    /// A configuration file.
    fn written(&self, brokers: &str, security: &str, more: &str) -> PathBuf {
        let (prefix, data) =
            (&self.on_kafka.settings.prefix, self.on_kafka.dir.path().join("data"));
        let text = format!(
            "log: {{ kind: kafka }}\ndata_dir: {data:?}\nllm: {{ enabled: false }}\n\
             kafka: {{ brokers: '{brokers}', prefix: {prefix}, \
             otlp_spans: {prefix}otlp_spans, otlp_logs: {prefix}otlp_logs, partitions: 1, \
             security: {{ {security} }}, {more} }}\n"
        );
        self.file(&format!("whetstone-{:x}.yaml", fastrand::u64(..)), &text).into()
    }

    fn settings(&self, brokers: &str, security: &str, more: &str) -> KafkaSettings {
        settings(&Config::load(Some(&self.written(brokers, security, more)), [], &[]).unwrap())
    }

    fn open(&self, security: &str) -> Result<KafkaLog, LogError> {
        KafkaLog::open(self.settings(&self.secure.address, security, ""))
    }
}

fn settings(config: &Config) -> KafkaSettings {
    match &config.log {
        LogConfig::Kafka { settings, .. } => (**settings).clone(),
        LogConfig::Embedded => panic!("not on Kafka"),
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// An unsigned token for `user`, good from now on for so many seconds.
fn token(user: &str, seconds: i64) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"sub": user, "iat": now() - 3600, "exp": now() + seconds});
    format!("{}.{}.", part(json!({"alg": "none"})), part(claims))
}

/// Everything that a Whetstone asks of a log.
fn use_it(log: &dyn Log) {
    let before = read(log, Topic::AgentTraces).len();
    log.append(vec![new(Topic::AgentTraces, "a", "one")]).unwrap();
    log.append(vec![new(Topic::AgentTraces, "a", "two"), new(Topic::AgentTraces, "b", "three")])
        .unwrap();
    let records = read(log, Topic::AgentTraces);
    assert_eq!(values(&records[before..]), ["one", "two", "three"]);
    let mut member = join(log, "decode", &[Topic::AgentTraces]);
    let given = poll(&mut *member, 10, GENEROUS);
    assert!(!given.is_empty());
    let state = format!("{:x}", fastrand::u64(..));
    member.commit(vec![new(Topic::AgentState, "a", &state)]).unwrap();
    assert_eq!(values(&table(log, Topic::AgentState)), [state]);
    log.append(vec![new(Topic::Decisions, "a", "before")]).unwrap();
    let mut latest = log.follow(Topic::Decisions, Start::Latest).unwrap();
    assert_eq!(latest.poll(10, NOW).unwrap(), []);
    log.append(vec![new(Topic::Decisions, "a", "after")]).unwrap();
    assert_eq!(values(&latest.poll(10, GENEROUS).unwrap()), ["after"]);
}

#[test]
fn every_way_to_log_in_reads_writes_and_commits() {
    let Some(place) = Place::new(module_path!()) else { return };
    let password = place.secure.password("whetstone");
    for mechanism in ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] {
        let log = place.open(&place.login(mechanism, "whetstone", &password)).unwrap();
        assert_eq!(log.check_topics().unwrap(), [], "{mechanism}");
        use_it(&log);
    }
    use_it(&place.open(&place.token(&token("whetstone", 600))).unwrap());
}

#[test]
fn topics_can_be_created_with_a_login_and_not_with_a_token() {
    let Some(mut place) = Place::new(module_path!()) else { return };
    place.on_kafka = OnKafka::without_topics(2, module_path!()).unwrap();
    let by_token = place.open(&place.token(&token("whetstone", 600))).unwrap();
    let refused = by_token.create_topics().unwrap_err().to_string();
    let name = format!("{}agent-state", place.on_kafka.settings.prefix);
    let command = format!("kafka-topics --create --topic {name} --partitions 1 --config");
    assert!(refused.contains(&command) && refused.contains("OAUTHBEARER"), "{refused}");
    assert!(refused.contains("cleanup.policy=compact"), "{refused}");
    let missing = by_token.check_topics().unwrap();
    assert_eq!(missing.iter().filter(|problem| problem.fatal).count(), Topic::ALL.len());

    let password = place.secure.password("whetstone");
    let log = place.open(&place.login("SCRAM-SHA-256", "whetstone", &password)).unwrap();
    assert_eq!(log.create_topics().unwrap().len(), Topic::ALL.len());
    assert_eq!(by_token.create_topics().unwrap(), [""; 0]);
    let unseen = by_token.check_topics().unwrap();
    assert_eq!(unseen.len(), 1);
    assert!(!unseen[0].fatal && unseen[0].what.contains("cannot be looked at"), "{unseen:?}");
}

#[test]
fn a_token_is_read_again_before_it_runs_out() {
    let Some(place) = Place::new(module_path!()) else { return };
    let file = place.file("token", &token("whetstone", 5));
    let login =
        format!("protocol: sasl_ssl, {}, mechanism: OAUTHBEARER, token_file: {file:?}", place.ca());
    // Connections end soon, so that new ones are made and log in anew.
    let more = "properties: { connections.max.idle.ms: '1000' }";
    let log = KafkaLog::open(place.settings(&place.secure.address, &login, more)).unwrap();
    let mut follower = log.follow(Topic::Decisions, Start::Latest).unwrap();
    let renewed = token("whetstone", 600);
    std::fs::write(&file, &renewed).unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(6) {
        assert_eq!(follower.poll(1, SHORT).unwrap(), []);
    }
    use_it(&log);
}

/// A CA that signed nothing.
fn other_ca(place: &Place) -> String {
    let file = place.on_kafka.dir.path().join("other.pem").display().to_string();
    let made = Command::new("openssl")
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc".split(' '))
        .args(["-subj", "/CN=somebody else", "-keyout", "/dev/null", "-out", &file])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    file
}

#[test]
fn whoever_is_kept_out_is_told_soon_why_and_what_to_do() {
    let Some(place) = Place::new(module_path!()) else { return };
    const SECRET: &str = "wr0ng-s3cret";
    let (tls, plain) = (place.secure.address.clone(), broker("").unwrap().address.clone());
    let own = place.secure.password("whetstone");
    let bad = |mechanism, user| place.login(mechanism, user, SECRET);
    let own_but = |from: &str, to: &str| place.login("PLAIN", "whetstone", &own).replace(from, to);
    let expired = token("whetstone", -60);
    let endless = format!("{}.{}.", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode("{}"));
    let missing = own_but("mechanism: PLAIN", "mechanism: OAUTHBEARER");
    let missing = missing.split(", username").next().unwrap();
    let ca = place.secure.ca.display().to_string();
    let cases = [
        ("wrong password", &tls, bad("SCRAM-SHA-512", "whetstone"), "user name and password"),
        ("wrong password", &tls, bad("SCRAM-SHA-256", "whetstone"), "user name and password"),
        ("wrong password", &tls, bad("PLAIN", "whetstone"), "user name and password"),
        ("unknown user", &tls, bad("SCRAM-SHA-512", "nobody"), "user name and password"),
        ("wrong CA", &tls, own_but(&ca, &other_ca(&place)), "check kafka.security"),
        ("no CA", &tls, own_but(&format!("{}, ", place.ca()), ""), "check kafka.security"),
        ("no such CA", &tls, own_but(&ca, "/nowhere.pem"), "ssl.ca.location"),
        ("CA is no CA", &tls, own_but(&ca, &place.file("no.pem", SECRET)), "ssl.ca.location"),
        ("no TLS", &tls, "protocol: plaintext".to_owned(), "kafka.security.protocol"),
        (
            "no TLS, login",
            &tls,
            own_but(&format!("sasl_ssl, {}", place.ca()), "sasl_plaintext"),
            "kafka.security.protocol",
        ),
        ("no login", &tls, format!("protocol: ssl, {}", place.ca()), "kafka.security.protocol"),
        ("TLS not spoken", &plain, own_but("", ""), "kafka.security.protocol"),
        ("expired token", &tls, place.token(&expired), "token"),
        ("endless token", &tls, place.token(&endless), "when it expires"),
        ("no token", &tls, place.token(SECRET), "holds no JSON web token"),
        (
            "missing token",
            &tls,
            format!("{missing}, token_file: /nowhere/token"),
            "cannot read the token file /nowhere/token",
        ),
    ];
    std::thread::scope(|scope| {
        for (what, brokers, security, says) in &cases {
            let (place, own, expired) = (&place, &own, &expired);
            scope.spawn(move || {
                let settings = place.settings(brokers, security, "");
                let begun = Instant::now();
                let error = KafkaLog::open(settings).err().expect(what);
                assert!(begun.elapsed() < SOON, "{what}: {:?}", begun.elapsed());
                let text = format!("{error} {error:?}");
                let sorted = matches!(error, LogError::Refused(_) | LogError::Unavailable(_));
                assert!(sorted && text.contains(says), "{what}: {says:?} is not in {text}");
                for secret in [SECRET, own, expired] {
                    assert!(!text.contains(secret), "{what}: a secret in {text}");
                }
            });
        }
    });
}

/// What an ACL may be about, and what it may allow, as Kafka's protocol numbers them.
const TOPIC: u8 = 2;
const GROUP: u8 = 3;
const TRANSACTIONAL_ID: u8 = 5;
const READ: u8 = 3;
const WRITE: u8 = 4;
const DESCRIBE: u8 = 8;

/// Lets `outsider` do `operation` on all that starts with `prefix`: rdkafka cannot, so a request
/// CreateAcls, version 1, by hand.
fn allow(resource: u8, prefix: &str, operation: u8) {
    let text = |text: &str| {
        let length = u16::try_from(text.len()).unwrap().to_be_bytes();
        [&length[..], text.as_bytes()].concat()
    };
    let acl = [
        &[0, 30, 0, 1, 0, 0, 0, 7][..],
        &text("test"),
        &[0, 0, 0, 1, resource],
        &text(prefix),
        &[4],
        &text("User:outsider"),
        &text("*"),
        &[operation, 3],
    ]
    .concat();
    let mut stream = TcpStream::connect(&broker("").unwrap().address).unwrap();
    stream.write_all(&u32::try_from(acl.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(&acl).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).unwrap();
    // The request's number, no throttling, one result without an error.
    assert_eq!(answer[..14], [0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0], "{answer:?}");
}

/// Asks until brokers have heard of an ACL, and for the reason if they refuse what it is not about.
fn until<T>(mut ask: impl FnMut() -> Result<T, LogError>, over: &str) -> Result<T, String> {
    let begun = Instant::now();
    loop {
        match ask() {
            Ok(done) => return Ok(done),
            Err(LogError::Refused(why)) if why.contains(over) && begun.elapsed() < SOON => {}
            Err(LogError::Refused(why)) => return Err(why),
            Err(other) => panic!("{other}"),
        }
    }
}

/// Why it is refused at last, which may be found out only while nothing comes.
fn kept_out(mut poll: impl FnMut() -> Result<(), LogError>) -> String {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < SOON, "nobody says why nothing comes");
        match poll() {
            Ok(()) => {}
            Err(error) => return refused(Err(error)),
        }
    }
}

fn refused(result: Result<(), LogError>) -> String {
    match result {
        Err(LogError::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn says(error: &str, words: &[&str]) {
    assert!(words.iter().all(|word| error.contains(word)), "{words:?} are not in {error}");
}

#[test]
fn an_outsider_is_told_what_to_be_allowed_one_after_the_other() {
    let Some(place) = Place::new(module_path!()) else { return };
    let prefix = place.on_kafka.settings.prefix.clone();
    let password = place.secure.password("outsider");
    let login = place.login("SCRAM-SHA-512", "outsider", &password);
    let log = place.open(&login).unwrap();
    let one = || vec![new(Topic::AgentTraces, "a", "one")];
    let two = || vec![new(Topic::AgentTraces, "a", "two"), new(Topic::AgentTraces, "b", "three")];

    let traces = format!("{prefix}agent-traces");
    let topics = "read, write and describe the topics";
    says(&refused(log.append(one())), &[&traces, topics]);
    says(&refused(log.check_topics().map(drop)), &[&traces, topics]);
    says(&refused(log.create_topics().map(drop)), &[&traces, topics]);
    says(&refused(log.subscribe("decode", &[Topic::AgentTraces]).map(drop)), &[&traces, topics]);
    says(&refused(log.follow(Topic::AgentTraces, Start::Latest).map(drop)), &[&traces, topics]);
    let state = format!("{prefix}agent-state");
    says(&refused(log.table(Topic::AgentState, Share::All).map(drop)), &[&state, topics]);

    // Sees topics, and may not write.
    allow(TOPIC, &prefix, DESCRIBE);
    let seen = until(|| log.check_topics(), topics).unwrap();
    assert_eq!(seen.len(), 1);
    says(&seen[0].what, &["cannot be looked at", "DescribeConfigs"]);
    says(&refused(log.append(one())), &[&traces, "allow this user to write"]);

    allow(TOPIC, &prefix, READ);
    allow(TOPIC, &prefix, WRITE);
    until(|| log.append(one()), "allow this user to").unwrap();
    let id = until(|| log.append(two()), topics).unwrap_err();
    says(&id, &[&format!("{prefix}append-"), "--transactional-id"]);
    let group = format!("{prefix}whetstone-decode");
    let id = refused(log.subscribe("decode", &[Topic::AgentTraces]).map(drop));
    says(&id, &[&group, "--transactional-id"]);

    allow(TRANSACTIONAL_ID, &prefix, WRITE);
    until(|| log.append(two()), "--transactional-id").unwrap();
    let mut member = log.subscribe("decode", &[Topic::AgentTraces]).unwrap();
    let why = kept_out(|| {
        let polled = member.poll(10, SHORT)?;
        assert_eq!(polled, Polled::Records(Vec::new()));
        Ok(())
    });
    says(&why, &[&group, "--group"]);
    drop(member);
    // Reading outside a group needs one all the same.
    let mut follower = log.follow(Topic::AgentTraces, Start::Earliest).unwrap();
    let why = kept_out(|| follower.poll(10, SHORT).map(drop));
    says(&why, &["whetstone-reader", "--group"]);

    allow(GROUP, &prefix, READ);
    let joined = || {
        let mut member = log.subscribe("decode", &[Topic::AgentTraces])?;
        while !matches!(member.poll(10, SHORT)?, Polled::Assigned(_)) {}
        Ok(())
    };
    until(joined, "--group").unwrap();
    use_it(&log);
}

#[test]
fn who_may_not_create_topics_is_told_so() {
    let Some(mut place) = Place::new(module_path!()) else { return };
    place.on_kafka = OnKafka::without_topics(1, module_path!()).unwrap();
    let password = place.secure.password("outsider");
    let log = place.open(&place.login("PLAIN", "outsider", &password)).unwrap();
    allow(TOPIC, &place.on_kafka.settings.prefix, DESCRIBE);
    let why = until(|| log.create_topics(), "read, write and describe").unwrap_err();
    assert!(why.contains("allow this user to create topics"), "{why}");
    assert_eq!(log.check_topics().unwrap().len(), Topic::ALL.len(), "nothing was created");
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn the_command_line_says_why_it_is_kept_out_and_shows_no_secret_however_much_it_logs() {
    let Some(place) = Place::new(module_path!()) else { return };
    const SECRET: &str = "wr0ng-s3cret";
    let password = place.secure.password("whetstone");
    let valid = token("whetstone", 600);
    let address = &place.secure.address;
    let everything = "properties: { debug: all }";
    let whetstone = |command: &str, file: &Path, log: &str| {
        let output = whetstone()
            .args([command, "--config", &file.display().to_string()])
            .env("WHETSTONE_LOG", log)
            .output()
            .unwrap();
        let said = said(&output);
        for secret in [SECRET, &password, &valid] {
            assert!(!said.contains(secret), "{command} shows a secret");
        }
        (output.status.code(), said)
    };
    let bad =
        place.written(address, &place.login("SCRAM-SHA-512", "whetstone", SECRET), everything);
    let outsider = place.secure.password("outsider");
    let outsider = place.login("SCRAM-SHA-512", "outsider", &outsider);
    let outsider = place.written(address, &outsider, "");
    let good = place.written(address, &place.login("PLAIN", "whetstone", &password), everything);
    let by_token = place.written(address, &place.token(&valid), everything);
    for (file, says) in [(&bad, "check kafka.security"), (&outsider, "allow this user to")] {
        for (command, code) in [("check", 2), ("run", 1)] {
            let (ended, said) = whetstone(command, file, "warn");
            assert_eq!(ended, Some(code), "{said}");
            assert!(said.contains("Kafka refuses") && said.contains(says), "{command}: {said}");
        }
    }
    whetstone("run", &bad, "trace");
    for file in [&good, &by_token] {
        let (ended, said) = whetstone("check", file, "trace");
        assert_eq!(ended, Some(0), "{said}");
        assert!(said.contains(&format!("{address} answers")), "{said}");
        assert!(said.contains("sasl.mechanisms"), "its client logs as well");
    }
    for file in [&good, &bad, &by_token] {
        let shown = format!("{:?}", Config::load(Some(file), [], &[]).unwrap());
        for secret in [SECRET, &password, &valid] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[test]
fn a_password_on_the_command_line_is_refused_and_not_repeated() {
    let check = |setting: &str| {
        let output = whetstone()
            .args(["check", "--set", "log.kind=kafka", "--set", setting])
            .output()
            .unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("error:") && !said.contains("s3cret"), "{said}");
    };
    check("kafka.properties.sasl.password=s3cret");
    check("kafka.security.password=s3cret");
    check("sasl.password=s3cret");
}
