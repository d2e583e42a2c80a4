//! Fleets: what is refused in a description, and what is rendered from one.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::ground::{Ground, told};

/// A description in which nothing is wrong. Quotes, blanks and dollars are legal in paths and values.
pub(crate) const FLEET: &str = r#"name = "nodes"
plan = "tiny.toml"
seed = 70
time-limit = "30m"
results = "@DIR@/re sult's"
runtimes = ["process"]
[isomark]
path = "@ISOMARK@"
sha256 = "@SHA256@"
[environment]
GREETING = "it's $(touch pwned) \"; touch pwned #"
[kubernetes]
image = "registry.example/isomark@sha256:aa"
claim = "results"
kvm = "devices.kubevirt.io/kvm"
runtime-class = "kata"
[[class]]
label = "metal"
replicas = 2
require = ["process"]
cpus = 4
memory = "8G"
selector.slurm = { constraint = "hc_a&(x|y)" }
selector.kubernetes = { "node.kubernetes.io/instance-type" = "m5.metal" }
[[class]]
label = "cloud-vm"
replicas = 3
cpus = 2
memory = "512M"
kvm-class = "nested"
selector.slurm = { partition = "virtual" }
selector.kubernetes = { kind = "vm" }
"#;

/// Two blocks of the cheapest scenario.
pub(crate) const TINY: &str = "name = 'tiny'\nblocks = 2\n[[ask]]\nscenario = 'startup'\ncontrols = 'off'\nparams = { cache = 'warm' }\n";

fn text(ground: &Ground, isomark: &Path, sha256: &str) -> String {
    FLEET
        .replace("@DIR@", &ground.dir().display().to_string())
        .replace("@ISOMARK@", &isomark.display().to_string())
        .replace("@SHA256@", sha256)
}

fn plain(ground: &Ground) -> String {
    text(ground, Path::new("/opt/isomark"), &"a".repeat(64))
}

fn said(done: &Output) -> String {
    String::from_utf8_lossy(&done.stderr).into_owned()
}

#[test]
fn each_mistake_in_a_description_is_refused_by_file_line_and_key() {
    let ground = Ground::new();
    ground.write("tiny.toml", TINY);
    let good = plain(&ground);
    let refused = |from: &str, to: &str, line: &str, key: &str| {
        assert!(good.contains(from), "{from}");
        ground.write("fleet.toml", good.replacen(from, to, 1));
        let done = ground.expect(&["fleet", "render", "slurm", "--out", "out", "fleet.toml"], 2);
        let why = said(&done);
        assert!(
            why.contains("fleet.toml") && why.contains(line) && why.contains(key),
            "{to}: {}",
            told(&done)
        );
        assert!(!ground.path("out").exists(), "{to}: nothing is rendered");
    };
    refused("seed = 70", "sed = 70", "line 3", "sed");
    refused("seed = 70", "seed = 9007199254740993", "line 3", "key seed");
    refused("seed = 70", "seed = -1", "line 3", "seed");
    refused("name = \"nodes\"", "name = \"Nodes/..\"", "line 1", "key name");
    refused("\"30m\"", "\"30 minutes\"", "line 4", "key time-limit");
    refused(
        "\"@DIR@".replace("@DIR@", &ground.dir().display().to_string()).as_str(),
        "\"results",
        "line 5",
        "key results",
    );
    refused("re sult's", "re\\u0007sult", "line 5", "key results");
    refused("re sult's", "../..", "line 5", "key results");
    refused(&"a".repeat(64), "abc", "line 9", "key isomark.sha256");
    refused("GREETING", "GREE-TING", "line 11", "key environment.GREE-TING");
    refused("sha256:aa\"", "sha256:a a\"", "line 13", "key kubernetes.image");
    refused("devices.kubevirt.io/kvm", "device", "line 15", "key kubernetes.kvm");
    refused("label = \"metal\"", "label = \"metal; rm\"", "line 18", "key class[0].label");
    refused("replicas = 2", "replicas = 0", "line 19", "key class[0].replicas");
    refused("replicas = 2", "replicas = \"two\"", "line 19", "replicas");
    refused("memory = \"8G\"", "memory = \"8 GB\"", "line 22", "key class[0].memory");
    refused("hc_a&(x|y)", "hc_a --wrap=evil", "line 23", "key class[0].selector.slurm.constraint");
    refused("instance-type\"", "instance type\"", "line 24", "key class[0].selector.kubernetes");
    refused("\"cloud-vm\"", "\"metal\"", "line 26", "key class[1].label");
    refused("\"nested\"", "\"fast\"", "line 30", "key class[1].kvm-class");
    refused("partition =", "partitoin =", "line 31", "partitoin");
    refused(
        "selector.slurm = { partition = \"virtual\" }\n",
        "",
        "fleet.toml",
        "key class[1].selector.slurm",
    );
    refused("tiny.toml", "nowhere.toml", "fleet.toml", "key plan");
    ground.write("fleet.toml", good.replacen("cpus = 2\n", "", 1));
    let done = ground.expect(&["fleet", "render", "kubernetes", "--out", "out", "fleet.toml"], 2);
    assert!(said(&done).contains("key class[1].cpus"), "{}", told(&done));
    ground.write("fleet.toml", &good[..good.find("[[class]]").unwrap()]);
    ground.expect(&["fleet", "render", "slurm", "--out", "out", "fleet.toml"], 2);
    ground.expect(&["fleet", "render", "slurm", "nowhere.toml"], 2);
    ground.write("fleet.toml", &good);
    ground.write("tiny.toml", format!("{TINY}# x\nISOMARK_PLAN\n"));
    ground.expect(&["fleet", "render", "slurm", "fleet.toml"], 2);
    ground.write("tiny.toml", format!("{TINY}# '''\n''' = 1\n"));
    ground.expect(&["fleet", "render", "slurm", "fleet.toml"], 2);
}

/// The function `measure` of a rendered script, called as an engine would.
fn measure(ground: &Ground, script: &str, arguments: &str) -> Output {
    let text = fs::read_to_string(ground.path(script)).unwrap();
    let (function, _) = text.split_once("# The text of the function").unwrap();
    // As it goes to another node: printed by one shell, read by the next.
    let through = format!("{function}\nexec bash -c \"$(declare -f measure)\"' ; measure {arguments}'");
    Command::new("bash").args(["-c", &through]).current_dir(ground.dir()).output().unwrap()
}

/// A program in isomark's place that tells its arguments and its environment, at a hostile path.
fn teller(ground: &Ground) -> (std::path::PathBuf, String) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = ground.write(
        "it's $(here)/iso mark",
        "#!/bin/sh\n[ \"$1\" = run ] || exit 0\nprintf '%s\\n' \"$@\" >told\nprintf '%s' \"$GREETING\" >greeting\n",
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let hash = isomark_core::image::sha256(&fs::read(&path).unwrap());
    (path, hash)
}

#[test]
fn a_slurm_script_quotes_everything_and_leaves_whole_folders() {
    let ground = Ground::new();
    let plan = format!("{TINY}# it's $(touch pwned) `touch pwned`\n");
    ground.write("tiny.toml", &plan);
    let (path, hash) = teller(&ground);
    ground.write("fleet.toml", text(&ground, &path, &hash));
    let done = ground.expect(&["fleet", "render", "slurm", "--out", "out", "fleet.toml"], 0).stdout;
    assert_eq!(done, b"sbatch metal.sbatch\nsbatch cloud-vm.sbatch\n");
    let script = fs::read_to_string(ground.path("out/cloud-vm.sbatch")).unwrap();
    let lines = [
        "#SBATCH --nodes=3",
        "#SBATCH --ntasks-per-node=1",
        "#SBATCH --exclusive",
        "#SBATCH --mem=512M",
        "#SBATCH --time=30",
        "#SBATCH --no-requeue",
        "#SBATCH --no-kill",
        "#SBATCH --partition=virtual",
    ];
    lines.iter().for_each(|line| assert!(script.lines().any(|l| l == *line), "{line}:\n{script}"));
    assert!(!script.contains("&\n") && !script.contains("--array"), "{script}");
    let done = measure(&ground, "out/cloud-vm.sbatch", "2 n2 17 1");
    assert!(done.status.success(), "{}", told(&done));
    let folder = ground.path("re sult's/cloud-vm-2.n2.j17.r1");
    assert_eq!(fs::read_to_string(folder.join("status")).unwrap(), "0\n");
    assert_eq!(fs::read_to_string(folder.join("plan.toml")).unwrap(), plan);
    assert_eq!(fs::read_to_string(ground.path("greeting")).unwrap(), "it's $(touch pwned) \"; touch pwned #");
    let told_args = fs::read_to_string(ground.path("told")).unwrap();
    let out = format!("{}/re sult's/cloud-vm-2.n2.j17.r1.tmp", ground.dir().display());
    let expected = [
        "run",
        "--quiet",
        "--plan",
        &format!("{out}/plan.toml"),
        "--seed",
        "74",
        "--time-budget",
        "1620s",
        "--out",
        &out,
        "--binary",
        &hash,
        "--runtime",
        "process",
        "--label",
        "fleet=nodes",
        "--label",
        "class=cloud-vm",
        "--label",
        "task=2/3",
        "--label",
        "node=n2",
        "--label",
        "job=17",
        "--label",
        "restart=1",
        "--label",
        "engine=slurm",
    ];
    assert_eq!(told_args.lines().collect::<Vec<_>>(), expected);
    assert!(!ground.path("pwned").exists());
}

#[test]
fn no_attempt_is_overwritten_and_no_unknown_isomark_is_run() {
    let ground = Ground::new();
    ground.write("tiny.toml", TINY);
    let (path, hash) = teller(&ground);
    ground.write("fleet.toml", text(&ground, &path, &hash));
    ground.expect(&["fleet", "render", "slurm", "--out", "out", "fleet.toml"], 0);
    let folder = ground.path("re sult's/cloud-vm-2.n2.j17.r1");
    assert!(measure(&ground, "out/cloud-vm.sbatch", "2 n2 17 1").status.success());
    // The same attempt again, an odd node, another isomark: nothing is overwritten, nothing unknown is run.
    let again = measure(&ground, "out/cloud-vm.sbatch", "2 n2 17 1");
    assert_eq!((again.status.code(), folder.join("cloud-vm-2.n2.j17.r1.tmp").exists()), (Some(2), false));
    assert!(!measure(&ground, "out/cloud-vm.sbatch", "0 a/../b 17 0").status.success());
    fs::remove_file(ground.path("told")).unwrap();
    fs::write(&path, "#!/bin/sh\ntouch pwned\n").unwrap();
    let done = measure(&ground, "out/metal.sbatch", "1 n9 18 0");
    assert_eq!(done.status.code(), Some(6), "{}", told(&done));
    let failed = ground.path("re sult's/metal-1.n9.j18.r0.failed");
    assert_eq!(fs::read_to_string(failed.join("status")).unwrap(), "6\n");
    assert!(!ground.path("told").exists() && !ground.path("pwned").exists());
}

#[test]
fn manifests_are_guaranteed_apart_and_say_why_they_need_rights() {
    let ground = Ground::new();
    ground.write("tiny.toml", TINY);
    ground.write("fleet.toml", plain(&ground));
    let done = ground.expect(&["fleet", "render", "kubernetes", "--out", "out", "fleet.toml"], 0);
    assert_eq!(
        String::from_utf8_lossy(&done.stdout),
        "kubectl create -f metal.yaml\nkubectl create -f cloud-vm.yaml\n"
    );
    let text = fs::read_to_string(ground.path("out/metal.yaml")).unwrap();
    for line in [
        "completionMode: Indexed",
        "completions: 2",
        "podReplacementPolicy: Failed",
        "cpu: \"4\"",
        "memory: \"8192Mi\"",
        "limits: *resources",
        "topologyKey: kubernetes.io/hostname",
        "\"devices.kubevirt.io/kvm\": \"1\"",
        "\"node.kubernetes.io/instance-type\": \"m5.metal\"",
    ] {
        assert!(text.contains(line), "{line}:\n{text}");
    }
    assert!(!text.contains("privileged: true"), "{text}");
    ground.write("fleet.toml", plain(&ground).replace("devices.kubevirt.io/kvm", "host-path"));
    ground.expect(&["fleet", "render", "kubernetes", "--out", "out", "fleet.toml"], 0);
    let text = fs::read_to_string(ground.path("out/metal.yaml")).unwrap();
    assert!(text.contains("privileged: true") && text.contains("type: CharDevice"), "{text}");
    // The stanza for pods is one that isomark can read, and it is not called verified.
    let listed = ground.expect(&["list", "--format", "json", "--catalogue", "out/catalogue"], 0);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let pod = listed["runtimes"].as_array().unwrap().iter().find(|r| r["name"] == "pod-kata").unwrap();
    assert_eq!((&pod["verified"], &pod["status"]), (&false.into(), &"unavailable".into()), "{pod}");
}
