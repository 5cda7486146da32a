//! The manifests in `deploy/kubernetes`, rendered as kustomize renders them: held to Kubernetes' own
//! schemas, to each other, and to what the binary serves and reads. No cluster is needed, nor asked.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_yaml::Value;
use tempfile::TempDir;
use whetstone::config::{Config, Log};
use whetstone::consume::Topic;

use crate::deploy::{HOME, agents_in, load, make_clone, passes, root, yaml};
use crate::python::{linters, skip};
use crate::server::Place;

const SECRETS: &str = "/etc/whetstone/secrets";

/// What one way to run it comes to, with its optional components or without.
struct Rendered {
    text: String,
    documents: Vec<Value>,
}

/// `kustomize`, or the one in `kubectl`.
fn kustomize() -> Option<Command> {
    let found = if Command::new("kustomize").arg("version").output().is_ok() {
        let mut command = Command::new("kustomize");
        command.arg("build");
        command
    } else if Command::new("kubectl").args(["kustomize", "--help"]).output().is_ok() {
        let mut command = Command::new("kubectl");
        command.arg("kustomize");
        command
    } else {
        skip("the Kubernetes manifests", "neither kustomize nor kubectl can be run");
        return None;
    };
    Some(found)
}

fn render(way: &str, with_components: bool) -> Option<Rendered> {
    let mut command = kustomize()?;
    let dir = TempDir::new().unwrap();
    let source = root().join("deploy/kubernetes");
    passes(Command::new("cp").arg("-r").arg(&source).arg(dir.path()));
    let folder = dir.path().join("kubernetes").join(way);
    let file = folder.join("kustomization.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let chosen = text
        .replace("# components:", "components:")
        .replace("#   - ../", "  - ../")
        .replace("  # - ../", "  - ../");
    assert_ne!(chosen, text, "{way} offers no components");
    if with_components {
        std::fs::write(&file, chosen).unwrap();
    }
    let output = command.arg(&folder).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{way}: {complaint}");
    let text = String::from_utf8(output.stdout).unwrap();
    let documents = text.split("\n---\n").map(yaml).collect();
    Some(Rendered { text, documents })
}

impl Rendered {
    fn all(&self, kind: &str) -> Vec<&Value> {
        self.documents.iter().filter(|document| document["kind"] == kind).collect()
    }

    fn one(&self, kind: &str) -> &Value {
        let all = self.all(kind);
        assert_eq!(all.len(), 1, "{kind}");
        all[0]
    }

    fn pod(&self) -> &Value {
        &self.one("StatefulSet")["spec"]["template"]["spec"]
    }

    fn container(&self) -> &Value {
        &self.pod()["containers"][0]
    }

    fn config_text(&self) -> &str {
        self.one("ConfigMap")["data"]["whetstone.yaml"].as_str().unwrap()
    }

    /// The configuration as the first pod reads it, with what the image sets and `more`.
    fn config(&self, more: &[(&str, &str)]) -> Result<Config, String> {
        let secrets = TempDir::new().unwrap();
        for name in ["http-token", "http-read-token", "kafka-password", "kafka-ca.crt"] {
            std::fs::write(secrets.path().join(name), "word").unwrap();
        }
        let mut variables = vec![("WHETSTONE_DATA_DIR", "/var/lib/whetstone/data")];
        for variable in self.container()["env"].as_sequence().unwrap() {
            let value = match &variable["valueFrom"]["fieldRef"]["fieldPath"] {
                Value::String(path) if path == "metadata.name" => "whetstone-0",
                _ => variable["value"].as_str().unwrap_or("from elsewhere"),
            };
            variables.push((variable["name"].as_str().unwrap(), value));
        }
        variables.extend(more);
        load(self.config_text(), &variables, SECRETS, secrets.path())
            .map_err(|problem| problem.to_string())
    }
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_sequence().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

#[test]
fn manifests_are_what_kubernetes_takes() {
    let Some(linters) = linters("the schemas of Kubernetes") else { return };
    for way in ["embedded", "kafka"] {
        // Kubernetes knows nothing of what the operators of the components bring.
        let Some(rendered) = render(way, false) else { return };
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("rendered.yaml");
        std::fs::write(&file, &rendered.text).unwrap();
        for version in ["1.30", "1.37"] {
            let strictly = ["--strict", "--kubernetes-version", version];
            let validate = linters.join("kubernetes-validate");
            passes(Command::new(validate).args(strictly).arg(&file));
        }
    }
}

#[test]
fn pods_read_their_configuration() {
    for way in ["embedded", "kafka"] {
        let Some(rendered) = render(way, false) else { return };
        let config = rendered.config(&[]).unwrap();
        let container = rendered.container();
        assert!(!config.http.listen.ip().is_loopback() && config.http.token.is_some());
        assert_eq!(container["ports"][0]["containerPort"], i64::from(config.http.listen.port()));
        for service in rendered.all("Service") {
            assert_eq!(service["spec"]["ports"][0]["port"], i64::from(config.http.listen.port()));
        }
        let replicas = rendered.one("StatefulSet")["spec"]["replicas"].as_u64().unwrap();
        match &config.log {
            Log::Embedded => assert_eq!(replicas, 1, "two instances on one log"),
            Log::Kafka { settings, .. } => {
                assert_eq!(settings.instance.as_deref(), Some("whetstone-0"));
                assert!(replicas > 1);
            }
        }
        // What the service would put there, were it not told not to.
        let linked = rendered.config(&[("WHETSTONE_SERVICE_HOST", "10.0.0.1")]);
        assert!(linked.unwrap_err().contains("WHETSTONE_SERVICE_HOST"));
        assert_eq!(rendered.pod()["enableServiceLinks"], false);
    }
}

#[test]
fn what_is_written_is_on_a_volume_and_all_else_read_only() {
    for way in ["embedded", "kafka"] {
        let Some(rendered) = render(way, false) else { return };
        let pod = rendered.pod();
        let config = rendered.config(&[]).unwrap();
        let mounts = rendered.container()["volumeMounts"].as_sequence().unwrap();
        let writable: Vec<_> = mounts
            .iter()
            .filter(|mount| mount["readOnly"] != true)
            .map(|mount| &mount["mountPath"])
            .collect();
        assert_eq!(writable, [HOME, "/tmp"]);
        for path in [&config.data_dir, config.repo.path.as_ref().unwrap()] {
            assert!(path.starts_with(HOME), "{}", path.display());
        }
        let containers = ["containers", "initContainers"];
        for container in containers.iter().flat_map(|key| pod[*key].as_sequence().unwrap()) {
            let context = &container["securityContext"];
            assert_eq!(
                context["readOnlyRootFilesystem"],
                true,
                "{}",
                container["name"].as_str().unwrap()
            );
            assert_eq!(context["allowPrivilegeEscalation"], false);
            assert_eq!(strings(&context["capabilities"]["drop"]), ["ALL"]);
            for kind in ["requests", "limits"] {
                assert!(container["resources"][kind]["memory"].is_string());
            }
        }
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(pod["automountServiceAccountToken"], false);
        let user = format!("USER {0}:{0}", pod["securityContext"]["runAsUser"].as_u64().unwrap());
        assert!(crate::deploy::read("deploy/Dockerfile").contains(&user), "another than {user}");
    }
}

#[test]
fn everything_selects_the_pods_and_nothing_else() {
    let Some(rendered) = render("kafka", true) else { return };
    let labels = &rendered.one("StatefulSet")["spec"]["template"]["metadata"]["labels"];
    let mut selectors = vec![
        &rendered.one("StatefulSet")["spec"]["selector"]["matchLabels"],
        &rendered.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        &rendered.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ];
    let services = rendered.all("Service");
    selectors.extend(services.iter().map(|service| &service["spec"]["selector"]));
    for selector in selectors {
        assert_eq!(selector, labels);
    }
    // Prometheus is to find each instance once.
    let monitor = &rendered.one("ServiceMonitor")["spec"];
    let monitored = &monitor["selector"]["matchLabels"];
    let found = |service: &&&Value| {
        let labels = &service["metadata"]["labels"];
        monitored.as_mapping().unwrap().iter().all(|(key, value)| &labels[key] == value)
    };
    let names: Vec<_> =
        services.iter().filter(found).map(|service| &service["metadata"]["name"]).collect();
    assert_eq!(names, ["whetstone-instances"]);
    let job = &monitor["jobLabel"];
    assert!(services.iter().all(|service| service["metadata"]["labels"][job] == "whetstone"));
}

#[tokio::test]
async fn probes_and_prometheus_ask_for_what_the_server_has() {
    let Some(rendered) = render("kafka", true) else { return };
    let mut paths = BTreeSet::new();
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let get = &rendered.container()[probe]["httpGet"];
        assert_eq!(get["port"], "http");
        paths.insert(get["path"].as_str().unwrap().to_owned());
    }
    let endpoint = &rendered.one("ServiceMonitor")["spec"]["endpoints"][0];
    assert_eq!(endpoint["port"], "http");
    paths.insert(endpoint["path"].as_str().unwrap().to_owned());
    let token = TempDir::new().unwrap();
    std::fs::write(token.path().join("token"), "word").unwrap();
    // Probes bring no token, Prometheus the one that only reads.
    assert_eq!(endpoint["authorization"]["credentials"]["key"], "http-read-token");
    let read_only = rendered.config(&[]).unwrap().http.read_token;
    assert!(read_only.is_some());
    let file = format!("http.token_file={}", token.path().join("token").display());
    let place = Place::new(&["llm.enabled=false", &file]);
    let _server = place.start().await;
    for path in paths {
        let answer = reqwest::get(place.url(&path)).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
}

#[test]
fn the_first_start_clones_the_config_repo() {
    let Some(rendered) = render("embedded", false) else { return };
    let clone = &rendered.pod()["initContainers"][0];
    assert_eq!(strings(&clone["command"]), ["sh", "-ec"]);
    let script = strings(&clone["args"])[0];
    let place = Place::new(&[]);
    let dir = TempDir::new().unwrap();
    let url = place.repo().display().to_string();
    let failed = make_clone(script, dir.path(), &[("REPO_URL", "/nowhere")]);
    assert!(!failed.status.success() && !dir.path().join("agents").exists());
    // As one that was killed leaves it.
    std::fs::create_dir_all(dir.path().join("agents.new/configs")).unwrap();
    for _ in 0..2 {
        assert!(make_clone(script, dir.path(), &[("REPO_URL", &url)]).status.success());
    }
    assert_eq!(agents_in(&dir.path().join("agents")), agents_in(Path::new(&url)));
}

#[test]
fn instances_are_scaled_by_the_lag_of_groups_that_there_are() {
    let Some(rendered) = render("kafka", true) else { return };
    let scaled = &rendered.one("ScaledObject")["spec"];
    let config = rendered.config(&[]).unwrap();
    let Log::Kafka { settings, .. } = config.log else { panic!("not on Kafka") };
    assert!(scaled["maxReplicaCount"].as_i64().unwrap() <= i64::from(settings.partitions));
    assert!(scaled["minReplicaCount"].as_i64().unwrap() >= 1);
    let set = rendered.one("StatefulSet");
    assert_eq!(scaled["scaleTargetRef"]["name"], set["metadata"]["name"]);
    assert!(set["spec"]["replicas"].is_null(), "two would decide how many there are");
    for trigger in scaled["triggers"].as_sequence().unwrap() {
        let metadata = &trigger["metadata"];
        assert_eq!(metadata["bootstrapServers"], settings.brokers.as_str());
        let group = metadata["consumerGroup"].as_str().unwrap();
        let role = group.strip_prefix(&format!("{}whetstone-", settings.prefix)).unwrap();
        let source = crate::deploy::read(&format!("src/app/{role}.rs"));
        let joins = [format!(".join(\"{role}\""), format!("group: \"{role}\"")];
        let joined = joins.iter().any(|join| source.contains(join));
        assert!(joined, "there is no group {group}");
        let topic = metadata["topic"].as_str().unwrap();
        assert!(Topic::named(topic).is_some(), "there is no topic {topic}");
    }
}
